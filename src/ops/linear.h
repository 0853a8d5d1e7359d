#pragma once
// Linear layers, the bulk of the work.

#include <span>
#include <vector>

#include "ops/elementwise.h"
#include "ops/low_rank.h"
#include "ops/row_runs.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// What happens to a product on its way to memory: y = activation(x Wᵀ + b) + residual.
struct Epilogue {
  Activation activation = Activation::kNone;
  const Tensor* residual = nullptr;  // [T, N] f32
};

// A norm over each row of x on its way into a product.
struct Prologue {
  enum class Norm { kNone, kLayerNorm, kRmsNorm };
  Norm norm = Norm::kNone;
  const Tensor* weight = nullptr;  // [K]
  const Tensor* bias = nullptr;    // [K], of a layer norm
  float eps = 0;
};

// The norm's tensors; undefined where it has none.
const Tensor& norm_weight(const Prologue& prologue);
const Tensor& norm_bias(const Prologue& prologue);

struct LinearOperand {
  const Tensor& weight;               // [N, K] f32, bf16, f16, int8 or int4
  const Tensor& bias;                 // [N] f32, bf16 or f16, or undefined
  const LowRank* low_rank = nullptr;  // what an adapter adds to the product, before the activation
  // Adapters of some rows each, instead of low_rank; a row is in one of them or in none, which adds nothing.
  std::span<const LowRankRows> low_rank_rows = {};
  // Which rows of x are computed as few rows are, all of them; none: x is one feed. Not on a tape.
  std::span<const RowRun> runs = {};
};

// x [T, K] f32 → [T, N] f32. Differentiable in f32 weights. Throws kInvalidArgument for shapes and dtypes
// other than these.
//
// Numerics: sums in f32. With Compute::kF32 so are the products. With Compute::kAuto x is rounded: to bf16
// for bf16 weights on hardware with bf16 dot products; for int8 and int4 weights it is rotated and rounded to
// int8, one scale for 256 numbers (tensor/quantized.h; sums of their products are exact integers). A row's
// result does not depend on what the other rows hold, nor on threads, to the bit; rows of feeds of up to 16
// (row_runs.h) may add in another order than those of longer ones.
Tensor linear(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Epilogue& epilogue = {}, const Prologue& prologue = {});

// The same with what adapters add: y = activation(x Wᵀ + b + low_rank(x)) + residual. With low_rank_rows a
// row is, to the bit, what it is with its own adapter for all rows; those are not differentiable. Throws
// kInvalidArgument for both kinds of adapters at once, a row in two of them, and low_rank_rows on a tape.
Tensor linear(Context& context, const Tensor& x, const LinearOperand& layer, const Epilogue& epilogue = {},
              const Prologue& prologue = {});

// Several of the same x: the norm and the rounding are done once.
std::vector<Tensor> linears(Context& context, const Tensor& x, std::span<const LinearOperand> operands,
                            const Prologue& prologue = {});

// silu(x Gᵀ) · (x Uᵀ), gate and up [N, K] → [T, N].
Tensor gated_linear(Context& context, const Tensor& x, const Tensor& gate, const Tensor& up,
                    const Prologue& prologue = {});

Tensor gated_linear(Context& context, const Tensor& x, const LinearOperand& gate, const LinearOperand& up,
                    const Prologue& prologue = {});  // without biases

}  // namespace vl3::ops
