// What a decoder that was taken over may tell the program.

#include <array>

#include "fuzz.h"
#include "sandbox/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  using namespace vl3::sandbox;
  const std::string_view text = fuzz::text_of(data, size);
  const MediaLimits limits = fuzz::small_limits();
  fuzz::read_or_refuse([&] {
    Reader reader(text);
    const ClipState state = get_clip_state(reader, limits);
    const VideoInfo& info = state.info;
    const bool within = info.height * info.width <= limits.max_pixels &&
                        info.total_frames <= limits.max_frames && info.duration_s <= limits.max_duration_s &&
                        (!info.fps || *info.fps > 0);
    if (!within) std::abort();
  });
  fuzz::read_or_refuse([&] {
    Reader reader(text);
    const ImageInfo info = get_image_info(reader, limits);
    if (info.height <= 0 || info.width <= 0 || info.height * info.width > limits.max_pixels) std::abort();
    if (to_string(info.format) == nullptr) std::abort();
  });
  return 0;
}
