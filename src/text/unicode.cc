#include "text/unicode.h"

#include <simdjson.h>

#include <algorithm>

namespace vl3 {
namespace {

struct ClassRange {
  uint32_t first, end;
  uint8_t flags;
};

// clang-format off
constexpr ClassRange kRanges[] = {
#include "text/unicode_classes.inc"
};
// clang-format on

}  // namespace

CharacterTable::CharacterTable() {
  for (const ClassRange& range : kRanges) {
    for (uint32_t c = range.first; c < std::min<uint32_t>(range.end, kDirect); ++c) direct_[c] = range.flags;
  }
}

uint8_t CharacterTable::beyond(char32_t c) noexcept {
  const auto* after = std::upper_bound(std::begin(kRanges), std::end(kRanges), c,
                                       [](char32_t code, const ClassRange& r) { return code < r.first; });
  return after != std::begin(kRanges) && c < after[-1].end ? after[-1].flags : uint8_t{0};
}

const CharacterTable& character_table() {
  static const CharacterTable table;
  return table;
}

Utf8Step utf8_step(std::string_view text) noexcept {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, true, false};
  const uint32_t size = lead >= 0xC2 && lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (lead < 0xC2 || lead > 0xF4) return {1, false, false};
  // The second byte is where overlong forms, surrogates and what is above U+10FFFF show.
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (uint32_t i = 1; i < size; ++i) {
    if (i == text.size()) return {i, false, true};
    const bool fits = i == 1 ? byte(i) >= low && byte(i) <= high : (byte(i) & 0xC0) == 0x80;
    if (!fits) return {i, false, false};
  }
  return {size, true, false};
}

bool is_utf8(std::string_view text) noexcept { return simdjson::validate_utf8(text.data(), text.size()); }

std::string to_utf8(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = utf8_step(bytes);
    text += step.whole ? bytes.substr(0, step.size) : kReplacementUtf8;
    bytes.remove_prefix(step.size);
  }
  return text;
}

size_t unfinished_bytes(std::string_view bytes) noexcept {
  for (size_t back = 1; back <= std::min<size_t>(3, bytes.size()); ++back) {
    const std::string_view tail = bytes.substr(bytes.size() - back);
    if ((static_cast<unsigned char>(tail[0]) & 0xC0) == 0x80) continue;
    const Utf8Step step = utf8_step(tail);
    return step.cut && step.size == back ? back : 0;
  }
  return 0;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

}  // namespace vl3
