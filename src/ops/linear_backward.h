#pragma once
// The two products of a linear layer's backward pass.

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// dy [T, N], weight [N, K] → dy W [T, K].
Tensor input_gradient(Context& context, const Tensor& dy, const Tensor& weight);
// sum [T, K] += dy W
void add_input_gradient(Context& context, const Tensor& dy, const Tensor& weight, Tensor sum);

// sum [N, K] += dyᵀ x, of dy [T, N] and x [T, K]; weight's type says how products round.
void add_weight_gradient(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight,
                         Tensor sum);

// Sums of the columns of x [T, N], in double, rounded once: the gradient of a key's bias nearly cancels, and
// what is left is blown up by an optimizer that divides by gradients.
Tensor column_sums(Context& context, const Tensor& x);

}  // namespace vl3::ops
