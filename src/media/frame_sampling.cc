#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

int64_t down_to_multiple(double x, int64_t step) {
  return static_cast<int64_t>(std::floor(x / static_cast<double>(step))) * step;
}

// How many of `total` frames are taken; nothing: all of them.
std::optional<int64_t> wanted_frames(int64_t total, std::optional<double> rate, const FrameSampling& s) {
  if (s.num_frames) {  // Python's round: halves to even
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(*s.num_frames) /
                                               static_cast<double>(s.temporal_patch_size))) *
           s.temporal_patch_size;
  }
  if (!s.fps) return std::nullopt;
  const int64_t most =
      down_to_multiple(static_cast<double>(std::min(s.max_frames, total)), s.temporal_patch_size);
  double count = static_cast<double>(total) / *rate * *s.fps;
  count = std::min({std::max(count, static_cast<double>(s.min_frames)), static_cast<double>(most),
                    static_cast<double>(total)});
  return down_to_multiple(count, s.temporal_patch_size);
}

// torch.arange(0, total, total / count).int(): steps in f64, rounded to f32, cut to integers.
std::vector<int64_t> spread(int64_t total, int64_t count) {
  const double step = static_cast<double>(total) / static_cast<double>(count);
  const int64_t size = static_cast<int64_t>(std::ceil(static_cast<double>(total) / step));
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < size; ++i) {
    indices.push_back(static_cast<int64_t>(static_cast<float>(step * static_cast<double>(i))));
  }
  return indices;
}

}  // namespace

SampledFrames sample_frames(const VideoInfo& info, const FrameSampling& s) {
  require(!(s.fps && s.num_frames), ErrorCode::kInvalidArgument,
          "[sampling] num_frames and fps exclude each other: give one of them");
  require(!s.fps || *s.fps > 0, ErrorCode::kInvalidArgument, "[sampling] fps is {}; it should be above 0",
          s.fps.value_or(0));
  require(s.temporal_patch_size >= 1 && s.min_frames >= 0 && s.max_frames >= 1, ErrorCode::kInvalidArgument,
          "[sampling] min_frames {}, max_frames {}, temporal_patch_size {}", s.min_frames, s.max_frames,
          s.temporal_patch_size);
  SampledFrames result;
  result.fps_assumed = !info.fps;
  const double rate = info.fps.value_or(1.0);
  int64_t first = 0, last = info.total_frames;
  if (s.start_time)
    first = std::max<int64_t>(first, static_cast<int64_t>(std::ceil(*s.start_time * rate - 1e-9)));
  if (s.end_time) last = std::min(last, static_cast<int64_t>(std::ceil(*s.end_time * rate - 1e-9)));
  require(first < last, ErrorCode::kInvalidArgument,
          "[sampling] no frame lies from {} s to {} s: the clip has {} frames at {} per second",
          s.start_time.value_or(0.0), s.end_time.value_or(info.duration_s), info.total_frames, rate);
  const int64_t total = last - first;
  const auto wanted = wanted_frames(total, rate, s);
  if (!wanted) {
    result.indices.resize(static_cast<size_t>(total));
    std::iota(result.indices.begin(), result.indices.end(), int64_t{0});
  } else {
    require(*wanted >= 1 && *wanted <= total, ErrorCode::kInvalidArgument,
            "[sampling] {} frames are wanted of {}: change num_frames or fps", *wanted, total);
    result.indices = spread(total, *wanted);
  }
  for (int64_t& index : result.indices) {
    index += first;
    // Sampled indices are a tensor in the reference, so that their times are f32; those of all frames are
    // not.
    result.timestamps.push_back(
        wanted ? static_cast<double>(static_cast<float>(index) / static_cast<float>(rate))
               : static_cast<double>(index) / rate);
  }
  return result;
}

}  // namespace vl3
