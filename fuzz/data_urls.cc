// data: URLs and base64.

#include "base/data_url.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  const std::string_view text = fuzz::text_of(data, size);
  fuzz::read_or_refuse([&] {
    size_t bytes = 0;
    for (const std::string& part : parse_data_url(text, 1 << 16, 16, "[fuzz]").parts) bytes += part.size();
    if (bytes > 1 << 16) std::abort();
  });
  fuzz::read_or_refuse([&] {
    if (from_base64(text, 1 << 16, "[fuzz]").size() > 1 << 16) std::abort();
  });
  if (percent_decoded(text).size() > text.size()) std::abort();
  return 0;
}
