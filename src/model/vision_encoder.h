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

// What a caller reads of the encoder's output, and what it may take from elsewhere.
struct FrameOptions {
  // A mask [V] of one byte a token (of all grids): zero rows are not in the result. Undefined: all are.
  Tensor keep;
  // Not exact: a frame of which only one token is kept reads that token from the frame before it of the same
  // clip.
  bool reuse_static = false;
};

// pixel_values [P, C·p·p] f32 → [K, D] f32, the kept rows. Attention stays within a frame, so frames are
// encoded a few at a time and their activations stay in cache; frames equal to an earlier one are encoded
// once, and the last layer stops at the keys and values of patches whose token nobody reads. With a probe
// that looks at stages everything is computed. Throws kInvalidArgument when keep has another length than the
// grids have tokens.
Tensor encode_vision(Context& context, const VisionWeights& weights, const VisionConfig& config,
                     const Tensor& pixel_values, std::span<const Grid> grids, const FrameOptions& options,
                     const Probe* probe);

}  // namespace vl3
