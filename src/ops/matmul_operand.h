#pragma once
// The left side of a product in the form that the weights want.

#include <cstdint>
#include <span>

#include "ops/matmul.h"

namespace vl3::ops {

// What a row of A is turned into.
enum class Form { kF32, kPairs, kQuads, kGroups };

Form form_of(const Context& context, const MatmulColumns& product);

// The rows of A in every form that the products of a call need.
class Operand {
 public:
  Operand(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products);

  int64_t m, k, pairs, quad_bytes, groups;  // quad_bytes: of a row of quads; groups: of a row
  bool turned;                              // f32 and bf16 are [k, m] and [pairs, m]
  const float* f32 = nullptr;
  const uint32_t* bf16 = nullptr;
  const uint8_t *quads = nullptr, *group_bytes = nullptr;
  const float *quad_scales = nullptr, *group_scales = nullptr, *group_sums = nullptr;

 private:
  Tensor f32_, bf16_, quads_, quad_scales_, group_bytes_, group_scales_, group_sums_;
};

}  // namespace vl3::ops
