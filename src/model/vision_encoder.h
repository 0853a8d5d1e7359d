#pragma once
// Stage 4: patches → visual tokens. Reference: VideoLlama3VisionModel.

#include <span>

#include "model/parameters.h"
#include "model/rotary.h"
#include "vl3/context.h"
#include "vl3/model.h"

namespace vl3 {

// Reads grid_thw [n, 3] and merge_sizes [n]; throws kInvalidArgument naming the picture where they make no
// sense together or do not add up to patches.
std::vector<Grid> read_grids(const Tensor& grid_thw, const Tensor& merge_sizes, int64_t patches);

// pixel_values [P, C·p·p] f32 → [V, D] f32. Attention stays within a frame, so frames are encoded a few at a
// time and their activations stay in cache.
Tensor encode_vision(Context& context, const VisionWeights& weights, const VisionConfig& config,
                     const Tensor& pixel_values, std::span<const Grid> grids, const Probe* probe);

}  // namespace vl3
