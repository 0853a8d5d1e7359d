#pragma once
// Linear layers, the bulk of the work.

#include <string_view>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

enum class Activation {
  kNone,
  kGeluTanh,  // 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))
  kGelu,      // 0.5 x (1 + erf(x / √2))
  kSilu,      // x / (1 + exp(-x))
};
// "gelu_pytorch_tanh", "gelu", "silu"; throws kUnsupported.
Activation activation_from(std::string_view name);

// What happens to a product on its way to memory: y = activation(x Wᵀ + b) + residual.
struct Epilogue {
  Activation activation = Activation::kNone;
  const Tensor* residual = nullptr;  // [T, N] f32
};

// x [T, K] f32, weight [N, K] f32, bf16 or f16, bias [N] of any of these or undefined → [T, N] f32.
// Differentiable. Numerics: products and sums in f32. With Compute::kAuto, bf16 weights, hardware with bf16
// dot products and more than 8 rows, x is rounded to bf16. A row's result does not depend on what the other
// rows hold, nor on threads, to the bit; calls of up to 8 rows add in another order than longer ones. Throws
// kInvalidArgument for shapes and dtypes other than these.
Tensor linear(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Epilogue& epilogue = {});

// x of any shape, elementwise. Differentiable.
Tensor activation(Context& context, const Tensor& x, Activation kind);

// silu(gate) · up, elementwise. Differentiable.
Tensor swiglu(Context& context, const Tensor& gate, const Tensor& up);

// a + b, elementwise. Differentiable.
Tensor add(Context& context, const Tensor& a, const Tensor& b);

}  // namespace vl3::ops
