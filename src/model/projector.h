#pragma once
// Stage 5: visual tokens in the vision encoder's width → the language model's. Reference:
// VideoLlama3Projector.

#include "model/parameters.h"
#include "vl3/context.h"

namespace vl3 {

// x [V, D] f32 → [V, H] f32: linear, GELU (exact), linear. Row by row, so pruning rows before gives the same
// rows.
Tensor project(Context& context, const ProjectorWeights& weights, const Tensor& x);

}  // namespace vl3
