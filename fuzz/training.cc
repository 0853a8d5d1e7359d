// Configurations of trainings.

#include "base/json.h"
#include "fuzz.h"
#include "vl3/train.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  fuzz::read_or_refuse(
      [&] { TrainConfig::from_json(parse_json(fuzz::text_of(data, size), "fuzz"), "fuzz"); });
  return 0;
}
