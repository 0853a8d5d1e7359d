// What a cache holds of content that came, and addresses as people see them.

#include <algorithm>

#include "base/web_address.h"
#include "fetch/address_cache.h"
#include "fetch/web_transfer.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  const std::string_view text = fuzz::text_of(data, size);
  if (const auto entry = parse_cache_entry(text)) {
    // It names a file of the cache's folder, and nothing that ends a line of a request.
    if (entry->content.find('/') != std::string::npos || entry->content.starts_with('.')) std::abort();
    if (entry->validators.empty() || entry->validators.for_range().find('\n') != std::string::npos)
      std::abort();
    const auto again = parse_cache_entry(to_json_text(*entry));
    if (!again || again->content != entry->content || again->bytes != entry->bytes) std::abort();
  }
  // No query, no fragment, no user before the host, no end of a line. What is not printed is shown as "?".
  const bool printed = std::none_of(text.begin(), text.end(),
                                    [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
  const std::string shown = shown_address(text);
  const size_t mark = shown.find("://"), host = mark == std::string::npos ? 0 : mark + 3;
  const size_t end = std::min(shown.find_first_of("/\\", host), shown.size());
  if (printed && shown.find_first_of("?#") != std::string::npos) std::abort();
  if (shown.find('\n') != std::string::npos) std::abort();
  if (is_web_address(text) && shown.substr(host, end - host).find('@') != std::string::npos) std::abort();
  return 0;
}
