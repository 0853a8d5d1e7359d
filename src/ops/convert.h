#pragma once
// Between f32 and how weights are stored.

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// f32 copy of a tensor of any weight type (f32, bf16, f16, int8, int4), exact, or the tensor itself where it
// is f32. Undefined tensors stay so. Throws kInvalidArgument for other types.
Tensor widened(Context& context, const Tensor& tensor);
// The same into memory that is there: target f32 of as many elements.
void widen_into(Context& context, const Tensor& tensor, const Tensor& target);

// x f32 of any shape → f32 (x itself), bf16 or f16, rounded to nearest even; NaN stays NaN. The memory is not
// of the context's pool: what is narrowed is kept. Throws kInvalidArgument for other types.
Tensor narrowed(Context& context, const Tensor& x, DType dtype);
// The same into memory that is there: target bf16 or f16 of as many elements.
void narrow_into(Context& context, const Tensor& x, const Tensor& target);

}  // namespace vl3::ops
