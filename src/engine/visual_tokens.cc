#include "engine/visual_tokens.h"

#include <numeric>

namespace vl3 {

VisualTokens visual_tokens(const ProcessorOutput& inputs) {
  VisualTokens tokens;
  if (inputs.images.image_grid_thw.defined()) {
    const auto grids = inputs.images.image_grid_thw.span<int64_t>();
    const auto merges = inputs.images.image_merge_sizes.span<int64_t>();
    for (size_t i = 0; i < merges.size(); ++i)
      tokens.pictures += grids[3 * i] * grids[3 * i + 1] * grids[3 * i + 2] / (merges[i] * merges[i]);
  }
  for (const ClipReport& clip : inputs.videos.clips) {
    tokens.clips = std::accumulate(clip.kept.begin(), clip.kept.end(), tokens.clips);
    tokens.whole_clips += clip.tokens_per_frame * static_cast<int64_t>(clip.kept.size());
  }
  return tokens;
}

}  // namespace vl3
