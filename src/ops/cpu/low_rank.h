#pragma once
// What an adapter adds to rows that a product has at hand, without dropout.

#include "ops/cpu/matmul.h"
#include "ops/low_rank.h"

namespace vl3::ops::cpu {

// scale · B (A x) [T, N]. n: the width of the layer, to be checked.
Tensor low_rank(Context& context, const MatmulRows& rows, const LowRank& layer, int64_t n);

}  // namespace vl3::ops::cpu
