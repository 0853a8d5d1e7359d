#pragma once

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Σ x² over x of any shape, f32, summed in double; the same bits for any number of threads. The number comes
// to the host. Throws kInvalidArgument for other dtypes. Reference: torch.nn.utils.clip_grad_norm_.
double sum_of_squares(Context& context, const Tensor& x);

}  // namespace vl3::ops
