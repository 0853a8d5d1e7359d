#pragma once
// Back from f32 to what a file holds.

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// x f32 of any shape → f32 (x itself), bf16 or f16, rounded to nearest even. Throws kInvalidArgument for
// other types.
Tensor narrowed(Context& context, const Tensor& x, DType dtype);

}  // namespace vl3::ops
