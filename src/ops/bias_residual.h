#pragma once
// Layers whose weights may be cut along their inputs, so that several ranks each multiply a part of x: the
// sum over the ranks comes between the product and what is added to it once.

#include "ops/linear.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// x [T, N] f32 + bias [N] (f32, bf16 or f16) + residual [T, N] f32, in this order; either may be undefined.
// Differentiable. Throws kInvalidArgument for shapes and dtypes other than these.
Tensor add_bias_residual(Context& context, const Tensor& x, const Tensor& bias, const Tensor& residual);

// x Wᵀ + low_rank(x) + b + residual [T, N], residual may be undefined. Where the context has no all_reduce
// this is linear with its epilogue. Where it has one, x and the weight are this rank's part of K, and so is
// the adapter's A: the product is summed over the ranks, then b and residual are added; not differentiable
// then (kUnsupported on a tape).
Tensor row_parallel_linear(Context& context, const Tensor& x, const LinearOperand& layer,
                           const Tensor& residual);

}  // namespace vl3::ops
