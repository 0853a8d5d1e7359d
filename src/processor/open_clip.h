#pragma once
// A clip of a conversation: a file, or pictures that are its frames.

#include <memory>
#include <vector>

#include "vl3/media_limits.h"
#include "vl3/video.h"
#include "vl3/video_processor.h"

namespace vl3 {

// Several sources are pictures, and so is a single one whose content is that of a still picture: a clip of
// one frame. Of the options those count that say how a clip is opened: rotate and pictures_rate. Throws what
// VideoReader::open and open_pictures throw.
std::unique_ptr<VideoReader> open_clip(const std::vector<MediaSource>& sources, const MediaLimits& limits,
                                       const VideoOptions& options);

// What a person should know of a clip that was opened so: the reader's notes, that it lies on its side, that
// an option does not fit it. Each is a sentence that begins with the name.
std::vector<std::string> clip_notes(const std::string& name, const VideoReader& reader,
                                    const VideoOptions& options);

}  // namespace vl3
