#pragma once
// The left side of a product in the form that the weights want.

#include <cstdint>
#include <span>

#include "ops/cpu/matmul.h"
#include "tensor/quantized.h"

namespace vl3::ops {

// What a row of A becomes: f32, bf16 pairs, or rotated int8; kParts for int4 weights that meet few
// rows.
enum class Form { kF32, kBf16Pairs, kInt8, kInt8Groups };

// few: rows, as row_runs.h has them.
Form form_of(const Context& context, const MatmulColumns& product, bool few);
inline bool is_int8(Form form) { return form == Form::kInt8 || form == Form::kInt8Groups; }

// The rows of A in every form that the products of a call need.
class Operand {
 public:
  Operand(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products, bool few_rows);

  int64_t m;
  bool few;
  int64_t k, pairs, groups, parts;  // of a row
  bool transposed;                  // f32 and bf16 are [k, m] and [pairs, m]
  const float* f32 = nullptr;
  const uint32_t* bf16 = nullptr;

  // From a row on, in one of the two forms of int8.
  QuantizedRows quantized(Form form, int64_t row) const;

 private:
  struct Int8Rows {
    int64_t stride = 0, starts_of_row = 0;
    Tensor bytes, scales, starts;  // [m, stride] u8, [m, groups] f32, [m, groups or parts] i32
  };
  void quantize(const KernelSet& kernels, Form form, const float* row, int64_t i);

  Tensor multipliers_;  // [k], of quantised weights

  Tensor f32_, bf16_;
  Int8Rows quads_, parts_;
};

}  // namespace vl3::ops
