#pragma once
// Pictures and clips as files hold them.

#include <cstdint>
#include <vector>

#include "vl3/image.h"

namespace vl3::scenes {

std::vector<uint8_t> encode_png(const Image& image);
// H.264 in MP4 (MPEG-4 part 2 where FFmpeg has no encoder for that); frames of one size with even sides.
// Throws kUnsupported where FFmpeg has neither encoder.
std::vector<uint8_t> encode_mp4(const std::vector<Image>& frames, double fps);

}  // namespace vl3::scenes
