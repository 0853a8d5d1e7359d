#pragma once
// The product behind linear and its backward: C [m, n] = A [m, k] · W [n, k]ᵀ, with what happens to a row on
// its way out.

#include <cstdint>
#include <functional>

#include "ops/cpu/kernels.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Throws kInvalidArgument for a dtype that is not f32, bf16 or f16.
WeightType weight_type(const Tensor& tensor);
// f32 copy of a tensor of any weight type, or the tensor itself where it is f32.
Tensor widened(Context& context, const Tensor& tensor);

// finish(row, column, count, values): called once for every piece of a finished row, while it is in cache.
using RowFinish = std::function<void(int64_t row, int64_t column, int64_t count, float* values)>;

// a [m, k] f32 dense, w [n, k] dense of weight type → c [m, n] f32 dense. c must not overlap a.
void matmul(Context& context, const float* a, int64_t m, int64_t k, const Tensor& w, float* c,
            const RowFinish& finish = {});

// x [R, C] f32 → [C, R].
Tensor transposed(Context& context, const Tensor& x);

}  // namespace vl3::ops
