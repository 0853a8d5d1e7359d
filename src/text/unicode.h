#pragma once
// Characters as the tokenizer's reference sees them, and UTF-8.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace vl3 {

// What a code point is. The sets are those of the reference, each asked by tools/goldens/text.py: its regular
// expressions follow a recent Unicode, its NFC Unicode 9, so no one version of a library gives them all.
enum CharacterClass : uint8_t {
  kLetter = 1,      // \p{L}
  kNumber = 2,      // \p{N}
  kSpace = 4,       // \s
  kWord = 8,        // \w, beside which an added token with single_word is not recognised
  kNfcUnsafe = 16,  // NFC may change it, move it, or join it to what is before
  kNfcFirst = 32,   // NFC may join it to what follows, or take it apart for that
};

class CharacterTable {
 public:
  CharacterTable();
  uint8_t operator[](char32_t c) const noexcept { return c < kDirect ? direct_[c] : beyond(c); }

 private:
  static uint8_t beyond(char32_t c) noexcept;
  static constexpr char32_t kDirect = 0x20000;
  std::array<uint8_t, kDirect> direct_{};
};
const CharacterTable& character_table();

inline constexpr char32_t kReplacement = 0xFFFD;
inline constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

struct Character {
  char32_t code = 0;
  uint32_t size = 0;  // bytes
};

// The character at the start of text, which is not empty and valid UTF-8.
inline Character character_at(const char* text) noexcept {
  const auto byte = [&](int i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

// The same for any bytes: size is that of the longest beginning of a character (at least 1), and whole says
// whether it is one. cut: the text ended where the character might have gone on.
struct Utf8Step {
  uint32_t size = 0;
  bool whole = false;
  bool cut = false;
};
Utf8Step utf8_step(std::string_view text) noexcept;

bool is_utf8(std::string_view text) noexcept;
// Text with each longest beginning of a character that is not one replaced by U+FFFD (Unicode's "substitution
// of maximal subparts").
std::string to_utf8(std::string_view bytes);
// Bytes at the end of bytes that are the unfinished beginning of a character: 0 to 3.
size_t unfinished_bytes(std::string_view bytes) noexcept;
void append_utf8(std::string& out, char32_t c);

}  // namespace vl3
