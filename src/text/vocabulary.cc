#include "text/vocabulary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "text/unicode.h"

namespace vl3 {
namespace {

// GPT-2's alphabet: printable Latin-1 stands for itself, the other 68 bytes for U+0100 on, in their order.
constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<uint16_t, 256> character{};  // of a byte
  std::array<int16_t, 0x144> byte{};      // of a character, -1 where it is not in the alphabet
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte) byte = -1;
  uint16_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const uint16_t c = stands_for_itself(byte) ? static_cast<uint16_t>(byte) : next++;
    alphabet.character[byte] = c;
    alphabet.byte[c] = static_cast<int16_t>(byte);
  }
  return alphabet;
}
constexpr Alphabet kAlphabet = make_alphabet();

// Whether spelling is in the alphabet; if so out (as long as spelling at most) has the bytes.
bool spell_bytes(std::string_view spelling, std::string& out) {
  out.clear();
  while (!spelling.empty()) {
    const Utf8Step step = utf8_step(spelling);
    if (!step.whole) return false;
    const char32_t c = character_at(spelling.data()).code;
    if (c >= kAlphabet.byte.size() || kAlphabet.byte[c] < 0) return false;
    out += static_cast<char>(kAlphabet.byte[c]);
    spelling.remove_prefix(step.size);
  }
  return true;
}

uint32_t hash_of(std::string_view text, bool verbatim) noexcept {
  constexpr uint64_t kFactor = 0x9E3779B97F4A7C15;
  uint64_t hash = text.size() * 2 + (verbatim ? 1 : 0);
  const char* at = text.data();
  size_t left = text.size();
  while (left > 0) {
    uint64_t word = 0;
    const size_t take = std::min<size_t>(left, 8);
    std::memcpy(&word, at, take);
    hash = (hash ^ word) * kFactor;
    hash ^= hash >> 32;
    at += take;
    left -= take;
  }
  return static_cast<uint32_t>((hash * kFactor) >> 32);
}

std::string in_quotes(std::string_view token) {
  return fmt::format("\"{}\"{}", to_utf8(token.substr(0, 60)), token.size() > 60 ? "..." : "");
}

}  // namespace

std::optional<std::string> bytes_of_spelling(std::string_view spelling) {
  std::string bytes;
  if (!spell_bytes(spelling, bytes)) return std::nullopt;
  return bytes;
}

std::string spelling_of_bytes(std::string_view bytes) {
  std::string spelling;
  for (const char c : bytes) append_utf8(spelling, kAlphabet.character[static_cast<unsigned char>(c)]);
  return spelling;
}

void Vocabulary::reserve(size_t tokens, size_t bytes) {
  text_.reserve(bytes);
  entries_.reserve(std::min<size_t>(tokens, kMaxId + 1));
  if (tokens * 2 > slots_.size()) rehash(std::bit_ceil(tokens * 2 + 16));
}

void Vocabulary::rehash(size_t slots) {
  std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots));
  used_ = 0;
  for (const Slot& slot : old) {
    if (slot.id >= 0) index(slot.hash, slot.id);
  }
}

void Vocabulary::index(uint32_t hash, int32_t id) {
  if ((used_ + 1) * 2 > slots_.size()) rehash(std::max<size_t>(64, slots_.size() * 2));
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].id >= 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {hash, id};
  ++used_;
}

int32_t Vocabulary::find(std::string_view text, bool verbatim) const noexcept {
  if (slots_.empty()) return -1;
  const uint32_t hash = hash_of(text, verbatim);
  for (size_t at = hash & (slots_.size() - 1); slots_[at].id >= 0; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].hash != hash) continue;
    const int32_t id = slots_[at].id;
    if (flag(id, kVerbatim) == verbatim && bytes(id) == text) return id;
  }
  return -1;
}

std::string_view Vocabulary::bytes(int64_t id) const noexcept {
  if (!has(id)) return {};
  const Entry& entry = entries_[static_cast<size_t>(id)];
  return std::string_view(text_).substr(entry.offset, entry.size);
}

std::string Vocabulary::spelling(int32_t id) const {
  return flag(id, kVerbatim) ? std::string(bytes(id)) : spelling_of_bytes(bytes(id));
}

std::optional<int32_t> Vocabulary::find_spelling(std::string_view spelling) const {
  std::string bytes;
  const bool verbatim = !spell_bytes(spelling, bytes);
  const int32_t id = find(verbatim ? spelling : bytes, verbatim);
  return id < 0 ? std::nullopt : std::optional(id);
}

Vocabulary::Entry& Vocabulary::place(std::string_view text, int64_t id, bool verbatim) {
  if (id >= size()) entries_.resize(static_cast<size_t>(id) + 1);
  Entry& entry = entries_[static_cast<size_t>(id)];
  entry = {text_.size(), static_cast<uint32_t>(text.size()),
           static_cast<uint8_t>(verbatim ? kPresent | kVerbatim : kPresent)};
  text_ += text;
  index(hash_of(text, verbatim), static_cast<int32_t>(id));
  return entry;
}

void Vocabulary::add(std::string_view spelling, int64_t id, std::string_view origin) {
  require(id >= 0 && id <= kMaxId, ErrorCode::kFormat, "[{}] id {} of the token {} is not in 0 ... {}",
          origin, id, in_quotes(spelling), kMaxId);
  require(!has(id), ErrorCode::kFormat, "[{}] id {} belongs to two tokens, {} and {}", origin, id,
          has(id) ? in_quotes(this->spelling(static_cast<int32_t>(id))) : "", in_quotes(spelling));
  std::string bytes;
  const bool verbatim = !spell_bytes(spelling, bytes);
  const std::string_view text = verbatim ? spelling : bytes;
  const int32_t other = find(text, verbatim);
  require(other < 0, ErrorCode::kFormat, "[{}] the token {} is there twice, with the ids {} and {}", origin,
          in_quotes(spelling), other, id);
  place(text, id, verbatim);
}

void Vocabulary::add_added(std::string_view content, int64_t id, bool special, std::string_view origin) {
  const auto known = find_spelling(content);
  require(!known || *known == id, ErrorCode::kFormat,
          "[{}] the added token {} has the id {}, but that token is there with the id {}", origin,
          in_quotes(content), id, known.value_or(-1));
  if (!known) add(content, id, origin);
  entries_[static_cast<size_t>(id)].flags |= static_cast<uint8_t>(special ? kAdded | kSpecial : kAdded);
}

}  // namespace vl3
