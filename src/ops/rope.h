#pragma once

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Rotary position embedding: x [T, H, D] f32, cos and sin [T, D/2] f32. The pair (i, i + D/2) of every head
// is rotated by the angle of its token. Differentiable in x. Reference: rotate_half, apply_rotary_pos_emb.
Tensor rope(Context& context, const Tensor& x, const Tensor& cos, const Tensor& sin);

}  // namespace vl3::ops
