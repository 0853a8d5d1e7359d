// Requests as people and other programs write them, with their messages.

#include "base/json.h"
#include "fuzz.h"
#include "vl3/processor.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  static const Processor processor = Processor::from_pretrained(VL3_FUZZ_DATA "/../../models/tiny");
  fuzz::read_or_refuse([&] {
    const Json request = parse_json(fuzz::text_of(data, size), "fuzz");
    fuzz::read_or_refuse([&] { processor.parse_request(request, "fuzz", {"generate"}); });
    fuzz::read_or_refuse([&] { processor.render(request, true); });
  });
  return 0;
}
