#include "base/data_url.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/ascii.h"
#include "base/check.h"

namespace vl3 {
namespace {

constexpr int8_t kNone = -1, kSpace = -2, kEnd = -3;

// What each character of base64 stands for.
constexpr std::array<int8_t, 256> make_sextets() {
  std::array<int8_t, 256> table{};
  table.fill(kNone);
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  for (size_t i = 0; i < kLetters.size(); ++i)
    table[static_cast<uint8_t>(kLetters[i])] = static_cast<int8_t>(i);
  table['+'] = table['-'] = 62;
  table['/'] = table['_'] = 63;
  for (const char c : {' ', '\t', '\r', '\n', '\f'}) table[static_cast<uint8_t>(c)] = kSpace;
  table['='] = kEnd;
  return table;
}
constexpr std::array<int8_t, 256> kSextets = make_sextets();

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

void check_size(size_t bytes, int64_t max_bytes, std::string_view where) {
  require(static_cast<int64_t>(bytes) <= max_bytes, ErrorCode::kLimitExceeded,
          "{} has {} bytes or more in its data, above max_file_bytes, {}", where, bytes, max_bytes);
}

}  // namespace

bool is_data_url(std::string_view text) noexcept {
  constexpr std::string_view kScheme = "data:";
  return text.size() >= kScheme.size() && std::equal(kScheme.begin(), kScheme.end(), text.begin(),
                                                     [](char a, char b) { return a == lower(b); });
}

std::string from_base64(std::string_view text, int64_t max_bytes, std::string_view where) {
  // Before memory is taken; exactly below, as white space counts for nothing.
  const size_t least = text.size() / 2 > 1024 ? text.size() / 2 - 1024 : 0;
  check_size(least, max_bytes, where);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int count = 0;  // sextets of the group
  bool ended = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const int8_t sextet = kSextets[static_cast<uint8_t>(text[i])];
    if (sextet == kSpace) continue;
    require(sextet != kNone && (!ended || sextet == kEnd), ErrorCode::kFormat,
            "{} has data that is not base64: character {} of {}", where, i, text.size());
    ended = ended || sextet == kEnd;
    if (ended) continue;
    bits = bits << 6 | static_cast<uint32_t>(sextet);
    if (++count < 4) continue;
    for (const int shift : {16, 8, 0}) bytes += static_cast<char>(bits >> shift & 0xff);
    bits = 0;
    count = 0;
  }
  require(count != 1, ErrorCode::kFormat, "{} has data that is not base64: it is cut off at character {}",
          where, text.size());
  if (count == 2) bytes += static_cast<char>(bits >> 4 & 0xff);
  if (count == 3) {
    bytes += static_cast<char>(bits >> 10 & 0xff);
    bytes += static_cast<char>(bits >> 2 & 0xff);
  }
  check_size(bytes.size(), max_bytes, where);
  return bytes;
}

std::string percent_decoded(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0;
    result += escape ? static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return result;
}

DataUrl parse_data_url(std::string_view url, int64_t max_bytes, int64_t max_parts, std::string_view where) {
  url.remove_prefix(std::min<size_t>(url.size(), 5));
  const size_t comma = url.find(',');
  require(comma != std::string_view::npos, ErrorCode::kFormat,
          "{} is a data: URL without a comma; it should be data:TYPE;base64,DATA", where);
  std::string_view head = url.substr(0, comma), data = url.substr(comma + 1);
  DataUrl result;
  bool base64 = false;
  for (bool first = true; first || !head.empty(); first = false) {
    const size_t end = std::min(head.find(';'), head.size());
    const std::string word = ascii_lower(trimmed(head.substr(0, end), " "));
    if (first) result.media_type = word.empty() ? "text/plain" : word;
    base64 = base64 || (!first && word == "base64");
    head.remove_prefix(std::min(end + 1, head.size()));
  }
  if (!base64) {
    check_size(data.size() / 3, max_bytes, where);
    result.parts.push_back(percent_decoded(data));
    check_size(result.parts[0].size(), max_bytes, where);
  } else {
    // Other programs escape "+", "/" and "=" in it.
    const std::string unescaped = data.find('%') == std::string_view::npos ? "" : percent_decoded(data);
    if (!unescaped.empty()) data = unescaped;
    const bool frames = result.media_type == "video/jpeg";
    int64_t left = max_bytes;
    for (bool more = true; more;) {
      require(static_cast<int64_t>(result.parts.size()) < max_parts, ErrorCode::kLimitExceeded,
              "{} has more frames in its data than max_frames, {}", where, max_parts);
      const size_t end = frames ? std::min(data.find(','), data.size()) : data.size();
      result.parts.push_back(from_base64(data.substr(0, end), left, where));
      left -= static_cast<int64_t>(result.parts.back().size());
      more = end < data.size();
      data.remove_prefix(std::min(end + 1, data.size()));
    }
  }
  for (const std::string& part : result.parts)
    require(!part.empty(), ErrorCode::kFormat, "{} is a data: URL without data", where);
  return result;
}

}  // namespace vl3
