#include "media/frame_times.h"

#include <algorithm>
#include <cmath>

namespace vl3 {
namespace {

// How far the farthest frame is from i / fps, in seconds.
double farthest(std::span<const int64_t> ticks, double tick_s, double fps) {
  double most = 0;
  for (size_t i = 0; i < ticks.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(ticks[i]) * tick_s - static_cast<double>(i) / fps));
  }
  return most;
}

// Whether the timestamps are numbers of frames rather than ticks of the clock, as those of raw Dirac are: a
// frame lasts longer than it is until the next one comes.
bool are_numbers(std::span<const int64_t> ticks, const StreamClock& clock) {
  if (ticks.size() < 2 || ticks.back() != static_cast<int64_t>(ticks.size()) - 1) return false;
  return clock.last_duration_ticks > 2 && (clock.average_fps || clock.base_fps);
}

}  // namespace

FrameTimes frame_times(std::span<const int64_t> ticks, int64_t frames, const StreamClock& clock) {
  FrameTimes result{clock.average_fps, {}, 0};
  const bool known = !ticks.empty() && clock.tick_s > 0 && !are_numbers(ticks, clock);
  const double span_s = known ? static_cast<double>(ticks.back()) * clock.tick_s : 0;
  std::optional<double> own;  // what the timestamps say
  if (known && span_s > 0) own = static_cast<double>(ticks.size() - 1) / span_s;
  const double within = clock.tick_s * (1 + 1e-6);
  if (!result.fps && clock.base_fps && (!own || farthest(ticks, clock.tick_s, *clock.base_fps) <= within))
    result.fps = clock.base_fps;
  if (!result.fps) result.fps = own;
  if (!result.fps) return result;
  result.duration_s = static_cast<double>(frames) / *result.fps;
  if (!own) return result;
  const double off = farthest(ticks, clock.tick_s, *result.fps);
  if (off <= within) return result;
  if (farthest(ticks, clock.tick_s, *own) <= within) {
    if (off < 0.5 / *own) return result;
    result.fps = own;
    result.duration_s = static_cast<double>(frames) / *own;
    return result;
  }
  for (const int64_t tick : ticks) result.times_s.push_back(static_cast<double>(tick) * clock.tick_s);
  const double last_s = clock.last_duration_ticks > 0
                            ? static_cast<double>(clock.last_duration_ticks) * clock.tick_s
                            : 1 / *own;
  result.duration_s = span_s + last_s;
  return result;
}

}  // namespace vl3
