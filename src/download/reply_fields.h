#pragma once
// Statuses and fields of replies, which the other side wrote: none of these throws.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "download/exchange.h"

namespace vl3::download {

// Whether a status says that what was asked for is elsewhere, where Location has an address.
bool is_redirect(long status) noexcept;

// Whether the content is packed in some way, though no request asks for that.
bool is_packed(const ReplyHead& head);

// A number of bytes, at most INT64_MAX; none where it is no number.
std::optional<uint64_t> byte_count(std::string_view field);

// "bytes 100-199/1000": which bytes come, of how many (unless that is "*"). None where it is no range.
struct ContentRange {
  uint64_t first = 0, last = 0;
  std::optional<uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view field);

// "W/"abc"" and ""abc"" → "abc".
std::string entity_tag(std::string_view field);

// The address of a Link field's part with rel="next"; "" where there is none.
std::string next_link(std::string_view link);

}  // namespace vl3::download
