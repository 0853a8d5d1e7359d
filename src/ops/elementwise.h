#pragma once
// Functions of single elements. Throw kInvalidArgument for shapes that differ.

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

// x of any shape, elementwise. Differentiable.
Tensor activation(Context& context, const Tensor& x, Activation kind);

// silu(gate) · up, elementwise. Differentiable.
Tensor swiglu(Context& context, const Tensor& gate, const Tensor& up);

// a + b, elementwise. Differentiable.
Tensor add(Context& context, const Tensor& a, const Tensor& b);

}  // namespace vl3::ops
