// Pictures of every format, and their headers alone.

#include "fuzz.h"
#include "vl3/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  const auto bytes = fuzz::bytes_of(data, size);
  const MediaLimits limits = fuzz::small_limits();
  int64_t height = -1, width = -1;
  ImageFormat format = ImageFormat::kPng;
  fuzz::read_or_refuse([&] {
    const ImageInfo info = probe_image(bytes, limits, "fuzz");
    height = info.height;
    width = info.width;
    format = info.format;
  });
  fuzz::read_or_refuse([&] {
    const Image image = decode_image(bytes, limits, "fuzz");
    // What the plan was made of is what comes; a HEIC picture may turn out otherwise (media/heif.cc), which
    // the processor refuses.
    if (format != ImageFormat::kHeif && (height != image.height || width != image.width)) std::abort();
    if (static_cast<int64_t>(image.rgb.size()) != 3 * image.height * image.width) std::abort();
  });
  fuzz::read_or_refuse([&] { describe_foreign_file(bytes); });
  return 0;
}
