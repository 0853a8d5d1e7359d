#pragma once
// A clip of a conversation: a file, or pictures that are its frames.

#include <filesystem>
#include <memory>
#include <vector>

#include "vl3/media_limits.h"
#include "vl3/video.h"

namespace vl3 {

// Several paths are pictures, and so is a single one whose content is that of a still picture: a clip of one
// frame. Throws what VideoReader::open and open_pictures throw.
std::unique_ptr<VideoReader> open_clip(const std::vector<std::filesystem::path>& paths,
                                       const MediaLimits& limits);

}  // namespace vl3
