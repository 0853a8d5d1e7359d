// Safetensors files, quantised entries included: headers, and the tensors that they name.

#include "checkpoint/safetensors_header.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  bool good = false;
  fuzz::read_or_refuse([&] {
    read_header(fuzz::bytes_of(data, size), "fuzz");
    good = true;
  });
  if (!good) return 0;
  fuzz::read_or_refuse([&] {
    static const fuzz::Folder folder;
    folder.write("fuzz.safetensors", fuzz::text_of(data, size));
    const SafetensorsFile tensors = SafetensorsFile::open(folder.path() / "fuzz.safetensors");
    for (const std::string& name : tensors.names()) {
      const Tensor tensor = tensors.get(name);
      volatile std::byte last{};
      if (tensor.bytes() > 0) last = tensor.raw()[tensor.bytes() - 1];
      (void)last;
    }
  });
  return 0;
}
