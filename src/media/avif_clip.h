#pragma once
// AVIF image sequences as clips.

#include <memory>

#include "vl3/media_limits.h"
#include "vl3/media_source.h"
#include "vl3/video.h"

namespace vl3 {

// By its content: its first brand is that of sequences, which decides for Pillow too. False for what is no
// file.
bool is_animated_avif(const MediaSource& source);

// Every frame as Pillow's seek() and convert("RGB") have it. The file is held in memory. Throws as
// VideoReader::open does.
std::unique_ptr<VideoReader> open_animated_avif(const MediaSource& source, const MediaLimits& limits);

}  // namespace vl3
