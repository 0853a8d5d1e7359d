#include "media/animation.h"

#include <cmath>

#include "base/check.h"

namespace vl3 {

VideoInfo describe_animation(const ImageInfo& picture, const MediaLimits& limits, const std::string& name,
                             const std::string& format) {
  require(picture.frames <= limits.max_frames, ErrorCode::kLimitExceeded,
          "[{}] {} frames are more than max_frames, {}", name, picture.frames, limits.max_frames);
  VideoInfo info;
  info.height = picture.height;
  info.width = picture.width;
  info.total_frames = picture.frames;
  info.format = format;
  return info;
}

void tell_animation_times(const std::vector<double>& ends_s, const MediaLimits& limits,
                          const std::string& name, VideoInfo& info) {
  constexpr double kSameTime_s = 0.001;  // durations are often whole milliseconds
  info.duration_s = ends_s.back();
  require(info.duration_s <= limits.max_duration_s, ErrorCode::kLimitExceeded,
          "[{}] {:.1f} s are more than max_duration_s, {:.1f}", name, info.duration_s, limits.max_duration_s);
  if (info.duration_s <= 0) return;
  info.fps = static_cast<double>(info.total_frames) / info.duration_s;
  bool even = true;
  std::vector<double> times_s = {0};
  times_s.insert(times_s.end(), ends_s.begin(), ends_s.end() - 1);
  for (size_t i = 0; i < times_s.size(); ++i)
    even = even && std::abs(times_s[i] - static_cast<double>(i) / *info.fps) <= kSameTime_s;
  if (!even) info.times_s = std::move(times_s);
}

}  // namespace vl3
