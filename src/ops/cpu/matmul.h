#pragma once
// The product behind linear and its backward: C [m, n] = A [m, k] · W [n, k]ᵀ, with what happens to a row of
// A on its way in and to a row of C on its way out.

#include <cstdint>
#include <functional>
#include <span>

#include "ops/cpu/kernels/kernels.h"
#include "ops/row_runs.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Throws kInvalidArgument for a dtype that is not f32, bf16 or f16.
WeightType weight_type(const Tensor& tensor);

// The left side. Rows are brought once into the form that the weights want (f32, bf16, int8), for all
// products of a call.
struct MatmulRows {
  const float* data = nullptr;  // [m, k] dense
  int64_t m = 0, k = 0;
  // Writes what row i shall be [k] into target, in place of data.
  std::function<void(int64_t row, float* target)> prologue;
  bool transposed =
      false;  // data is [k, m]; then there is no prologue, and all products are transposed as well
  Tensor* rounded = nullptr;  // receives the rows as bf16 [m, k] where products round them so and k is even
  std::span<const RowRun> runs = {};  // of all rows; none: they are one feed
};

// One product. w: [n, k] dense or quantised. c: [m, n] f32 dense, which must not overlap the rows.
struct MatmulColumns {
  const Tensor* w = nullptr;
  float* c = nullptr;
  bool transposed = false;  // w is [k, n] and dense, as in the products of a backward pass
  bool accumulate = false;  // c += instead of c =; of transposed ones only
  bool rounded = false;     // f32 weights are rounded to bf16 as well, where bf16 weights would; likewise
  // Called once for every piece of a finished row, while it is in cache: values = c + row · n + column.
  std::function<void(int64_t row, int64_t column, int64_t count, float* values)> epilogue;
  const float* epilogue_reads = nullptr;  // [m, n], the same place as the epilogue is at: prefetched
  // A second product of the same shape, computed before the epilogue: fused gate and up.
  const Tensor* fused_w = nullptr;
  float* fused_c = nullptr;
};

// Any number of products of the same rows, together. With Compute::kAuto rows are rounded to bf16 for bf16
// weights where the hardware multiplies those, to int8 in groups of 256 for int8 and int4
// weights. A row's result depends on nothing but the row, and on whether it is one of few (row_runs.h).
void matmul(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products);

// a [m, k] f32 dense, w [n, k] → c [m, n].
void matmul(Context& context, const float* a, int64_t m, int64_t k, const Tensor& w, float* c);

// x [R, C] f32 → [C, R].
Tensor transposed(Context& context, const Tensor& x);

}  // namespace vl3::ops
