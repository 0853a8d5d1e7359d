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

// --- a variable rate

// The frame shown at a moment, or about to be within a tenth of a frame's usual time: first … last - 1.
int64_t shown_at(const std::vector<double>& times, int64_t first, int64_t last, double moment_s,
                 double near_s) {
  const auto begin = times.begin();
  const auto next = std::upper_bound(begin + first, begin + last, moment_s + near_s);
  return std::max<int64_t>(first, next - begin - 1);
}

// So many different frames of first … last - 1, as near to evenly spaced moments as that allows.
std::vector<int64_t> spread_in_time(const std::vector<double>& times, int64_t first, int64_t last,
                                    int64_t count, double span_s, double near_s) {
  std::vector<int64_t> indices;
  for (int64_t k = 0; k < count; ++k) {
    const double moment_s =
        times[static_cast<size_t>(first)] + span_s * static_cast<double>(k) / static_cast<double>(count);
    const int64_t least = indices.empty() ? first : indices.back() + 1, most = last - (count - k);
    indices.push_back(std::clamp(shown_at(times, first, last, moment_s, near_s), least, most));
  }
  return indices;
}

// What is shown at evenly spaced moments, each frame once.
std::vector<int64_t> seen_in_time(const std::vector<double>& times, int64_t first, int64_t last,
                                  double moments, double span_s, double near_s) {
  std::vector<int64_t> indices;
  const int64_t count = static_cast<int64_t>(std::floor(moments));
  for (int64_t k = 0; k < count; ++k) {
    const double moment_s = times[static_cast<size_t>(first)] + span_s * static_cast<double>(k) / moments;
    const int64_t i = shown_at(times, first, last, moment_s, near_s);
    if (indices.empty() || i > indices.back()) indices.push_back(i);
  }
  return indices;
}

SampledFrames sample_in_time(const VideoInfo& info, const FrameSampling& s) {
  const std::vector<double>& times = info.times_s;
  const auto from = [&](double t) {
    return std::lower_bound(times.begin(), times.end(), t - 1e-9) - times.begin();
  };
  const int64_t first = s.start_time ? from(*s.start_time) : 0;
  const int64_t last = s.end_time ? from(*s.end_time) : static_cast<int64_t>(times.size());
  require(first < last, ErrorCode::kInvalidArgument,
          "[sampling] no frame lies from {} s to {} s: the clip has {} frames in {:.3f} s",
          s.start_time.value_or(0.0), s.end_time.value_or(info.duration_s), info.total_frames,
          info.duration_s);
  const double begin_s = times[static_cast<size_t>(first)];
  const double next_s =
      last < static_cast<int64_t>(times.size()) ? times[static_cast<size_t>(last)] : info.duration_s;
  const double span_s = std::min(next_s, s.end_time.value_or(next_s)) - begin_s;
  const double near_s = 0.1 * info.duration_s / static_cast<double>(times.size());
  const int64_t total = last - first, step = s.temporal_patch_size;
  SampledFrames result;
  if (s.num_frames) {
    const int64_t wanted = *wanted_frames(total, info.fps, s);
    require(wanted >= 1 && wanted <= total, ErrorCode::kInvalidArgument,
            "[sampling] {} frames are wanted of {}: change num_frames or fps", wanted, total);
    result.indices = spread_in_time(times, first, last, wanted, span_s, near_s);
  } else if (s.fps) {
    const double least = static_cast<double>(s.min_frames), most = static_cast<double>(s.max_frames);
    const double moments = std::floor(std::min(std::max(span_s * *s.fps, least), most) + 1e-9);
    result.indices = seen_in_time(times, first, last, moments, span_s, near_s);
    int64_t count = static_cast<int64_t>(result.indices.size());
    count = std::max(count, std::min({s.min_frames, s.max_frames, total})) / step * step;
    require(count >= 1, ErrorCode::kInvalidArgument,
            "[sampling] {} frames are wanted of {}: change num_frames or fps", count, total);
    if (count != static_cast<int64_t>(result.indices.size()))
      result.indices = spread_in_time(times, first, last, count, span_s, near_s);
  } else {
    result.indices.resize(static_cast<size_t>(total));
    std::iota(result.indices.begin(), result.indices.end(), first);
  }
  for (const int64_t i : result.indices) result.timestamps.push_back(times[static_cast<size_t>(i)]);
  return result;
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
  if (s.times == ClipTimes::kTimestamps && !info.times_s.empty()) return sample_in_time(info, s);
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
