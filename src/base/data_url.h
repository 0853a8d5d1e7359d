#pragma once
// data: URLs (RFC 2397): bytes that stand where an address would.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vl3 {

struct DataUrl {
  std::string media_type;          // "image/png"; "text/plain" where the URL names none, as the RFC has it
  std::vector<std::string> parts;  // the bytes; of video/jpeg, frame after frame, as other programs write it
};

bool is_data_url(std::string_view text) noexcept;  // begins with "data:", in any case

// data:[type][;name=value…][;base64],data — base64 or percent-encoded. where ("[…] …") begins every error:
// kFormat, with the character where it broke; kLimitExceeded where the parts have more than max_bytes
// together or are more than max_parts, before memory is taken for them.
DataUrl parse_data_url(std::string_view url, int64_t max_bytes, int64_t max_parts, std::string_view where);

// Bytes of base64 of either alphabet, with or without "=" at the end; white space is passed over. Errors as
// above.
std::string from_base64(std::string_view text, int64_t max_bytes, std::string_view where);

// "%41" → "A"; a percent sign that no two hexadecimal digits follow stays as it is.
std::string percent_decoded(std::string_view text);

}  // namespace vl3
