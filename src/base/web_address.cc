#include "base/web_address.h"

#include <algorithm>
#include <cstdint>

namespace vl3 {

bool is_web_address(std::string_view text) noexcept {
  for (const std::string_view scheme : {"http://", "https://"}) {
    const bool same = text.size() >= scheme.size() &&
                      std::equal(scheme.begin(), scheme.end(), text.begin(), [](char wanted, char given) {
                        return wanted == given || (given >= 'A' && given <= 'Z' && (given | 32) == wanted);
                      });
    if (same) return true;
  }
  return false;
}

std::string shown_address(std::string_view address) {
  constexpr size_t kMaxBytes = 200;
  std::string result;
  constexpr std::string_view kOfSchemes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
  const size_t mark = address.find_first_not_of(kOfSchemes);  // "://" further on may be a query's
  if (mark != std::string_view::npos && address.substr(mark).starts_with("://")) {
    result = address.substr(0, mark + 3);
    address.remove_prefix(mark + 3);
  }
  address = address.substr(0, address.find_first_of("?#"));
  // A user stands before the last @ of the host's part; browsers take a backslash for a slash.
  const size_t host_end = std::min(address.find_first_of("/\\"), address.size());
  if (const size_t at = address.substr(0, host_end).rfind('@'); at != std::string_view::npos)
    address.remove_prefix(at + 1);
  result += address;
  for (char& c : result) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  if (result.size() > kMaxBytes) {
    size_t end = kMaxBytes;
    while (end > 0 && (static_cast<uint8_t>(result[end]) & 0xc0) == 0x80) --end;  // no half character
    result.resize(end);
    result += "…";
  }
  return result;
}

}  // namespace vl3
