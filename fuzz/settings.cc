// Settings of generation, from requests and from generation_config.json (the first byte says which).

#include "base/json.h"
#include "fuzz.h"
#include "vl3/generation.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  static const fuzz::Folder folder;
  if (size == 0) return 0;
  const std::string_view text = fuzz::text_of(data + 1, size - 1);
  fuzz::read_or_refuse([&] {
    GenerationConfig config;
    if (data[0] == 'g') {
      folder.write("generation_config.json", text);
      config = GenerationConfig::from_pretrained(folder.path());
    } else {
      config = GenerationConfig::from_json(parse_json(text, "fuzz"));
    }
    // What was read is valid, and can be written and read again.
    config.validate();
    const Json written = config.to_json();
    if (GenerationConfig::from_json(written).to_json() != written) std::abort();
  });
  return 0;
}
