#pragma once
// What clips that are animated pictures have in common.

#include <string>
#include <vector>

#include "vl3/image.h"
#include "vl3/media_limits.h"
#include "vl3/video.h"

namespace vl3 {

// Size and number of frames, as the picture says. Throws kLimitExceeded.
VideoInfo describe_animation(const ImageInfo& picture, const MediaLimits& limits, const std::string& name,
                             const std::string& format);

// When each frame ends, from the beginning of the first on. The rate is the frames' average; absent where
// they take no time. Throws kLimitExceeded.
void tell_animation_times(const std::vector<double>& ends_s, const MediaLimits& limits,
                          const std::string& name, VideoInfo& info);

}  // namespace vl3
