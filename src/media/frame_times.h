#pragma once
// When the frames of a clip are shown, and how many there are a second.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace vl3 {

// What a container says of one stream.
struct StreamClock {
  double tick_s = 0;                  // a tick of its timestamps
  std::optional<double> average_fps;  // over all frames
  std::optional<double> base_fps;     // the lowest rate that all timestamps fit
  int64_t last_duration_ticks = 0;    // how long the last frame is shown; 0: unknown
};

struct FrameTimes {
  std::optional<double> fps;    // the container's average, else what the timestamps say
  std::vector<double> times_s;  // from the first frame on; empty where frame i is shown at i / fps
  double duration_s = 0;        // 0 without a rate
};

// ticks: of every frame, ascending from 0; empty where they are not known. A rate is constant, and times_s
// left empty, where no frame is more than a tick from i / fps. Or where all are as far apart: a container's
// average counts the last frame's duration, which is often off, and stands unless a frame comes to be half a
// frame from i / fps; then it counts what is not shown, and the timestamps' own rate takes its place.
FrameTimes frame_times(std::span<const int64_t> ticks, int64_t frames, const StreamClock& clock);

}  // namespace vl3
