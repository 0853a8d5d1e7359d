// Adapters in PEFT's layout. The first byte says which of the two files is broken.

#include "vl3/adapter.h"

#include "fuzz.h"
#include "vl3/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  static const Config config = Config::from_pretrained(VL3_FUZZ_DATA "/../../models/tiny");
  static const std::string source = VL3_FUZZ_DATA "/lora/plain/";
  static const fuzz::Folder of_config, of_weights;
  static const bool prepared = [] {
    std::filesystem::copy_file(source + "adapter_model.safetensors",
                               of_config.path() / "adapter_model.safetensors");
    std::filesystem::copy_file(source + "adapter_config.json", of_weights.path() / "adapter_config.json");
    return true;
  }();
  if (size == 0 || !prepared) return 0;
  const bool weights = data[0] == 'w';
  const fuzz::Folder& folder = weights ? of_weights : of_config;
  folder.write(weights ? "adapter_model.safetensors" : "adapter_config.json",
               fuzz::text_of(data + 1, size - 1));
  fuzz::read_or_refuse([&] { Adapter::open(folder.path(), config); });
  return 0;
}
