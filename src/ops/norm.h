#pragma once
// Normalisations over the last dimension. x [T, D] f32; weights [D] f32, bf16 or f16. Sums in f32,
// one per lane. Throws kInvalidArgument for shapes other than these.

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// (x - mean) / √(variance + eps) · weight + bias. Differentiable. Reference: torch.nn.LayerNorm.
Tensor layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias, float eps);

// x / √(mean(x²) + eps) · weight. Differentiable. Reference: Qwen2RMSNorm.
Tensor rms_norm(Context& context, const Tensor& x, const Tensor& weight, float eps);

}  // namespace vl3::ops
