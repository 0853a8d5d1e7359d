#pragma once

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// One angle per pair (i, i + D/2) of a head: cos and sin are [T, D/2] f32.
struct RotaryTable {
  Tensor cos, sin;
};

// positions [T, A] f32, one for each of A axes, and inverse frequencies [W] f32 → tables [T, A · W]:
// cos[t, a · W + i] = scaling · cos(positions[t, a] · frequencies[i]), sin likewise. The angle is rounded to
// f32, as the reference's is: that rounding is part of the result. Not differentiable. Throws
// kInvalidArgument for shapes and dtypes other than these. Reference: Qwen2RotaryEmbedding,
// VideoLlama3VisionRotaryEmbedding.
RotaryTable rotary_table(Context& context, const Tensor& positions, const Tensor& frequencies, float scaling);

}  // namespace vl3::ops
