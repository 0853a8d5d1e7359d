#pragma once
// One clip: frames in, patches out, a group of frames at a time, and which of their tokens are worth keeping.

#include <cstdint>
#include <functional>
#include <vector>

#include "vl3/tensor.h"
#include "vl3/video_processor.h"

namespace vl3 {

class ThreadPool;

// Consecutive (temporal) frames.
struct ClipGroup {
  int64_t first = 0, t = 0;   // the clip's frames [first, first + t)
  int64_t h = 0, w = 0;       // patches of a frame
  Tensor patches;             // [t·h·w, words]
  std::vector<uint8_t> keep;  // [t·tokens of a frame]
};

struct ClipPatches {
  int64_t t = 0, h = 0, w = 0;
  std::vector<uint8_t> keep;  // of all groups
  ClipReport report;
};

// Reads the frames that the clip's info and options pick, resizes them as they arrive and gives groups to
// `ready` as they are full: with at most group_patches patches, but one frame at least. Of what was given no
// more than the last frame is looked at again. Where the clip turns out shorter than it said, frames are
// picked anew, and groups begin again at frame 0; the report says so.
ClipPatches process_clip(ThreadPool& threads, const ClipInput& clip, int64_t group_patches,
                         const ProcessHooks& hooks, const std::function<void(ClipGroup)>& ready);

}  // namespace vl3
