#pragma once
// Animated WebP pictures as clips, which FFmpeg cannot decode.

#include <memory>

#include "vl3/media_limits.h"
#include "vl3/media_source.h"
#include "vl3/video.h"

namespace vl3 {

// By its content; false for what is no file.
bool is_animated_webp(const MediaSource& source);

// Every frame composited on the canvas, alpha dropped, as Pillow's seek() and convert("RGB") do. Times are
// the sums of the frames' durations, the rate their average; absent where all durations are 0. The file is
// held in memory. Throws as VideoReader::open does.
std::unique_ptr<VideoReader> open_animated_webp(const MediaSource& source, const MediaLimits& limits);

}  // namespace vl3
