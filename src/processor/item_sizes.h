#pragma once
// How many frames and patches a picture or clip will have, before any of it is decoded. What is wrong with
// them is told under the item's name.

#include <cstdint>

#include "processor/messages.h"

namespace vl3 {

int64_t frames_of(const MediaItem& clip, const VideoInfo& info);
int64_t clip_patches(const MediaItem& clip, const VideoInfo& info, int64_t frames);
int64_t picture_patches(const MediaItem& picture, Size size, ResizeBackend backend);

}  // namespace vl3
