#pragma once
// What attention keeps for its backward pass and what that gives. It handles some rows of scores at a time:
// memory stays linear in tokens.
//
// With dy the gradient of the result [T, Hq, D], p = softmax(scale q kᵀ) and dp = dy vᵀ: dv = pᵀ dy,
// ds = p (dp - rowsum(p dp)), dq = scale ds k, dk = scale dsᵀ q (FlashAttention, arXiv 2205.14135, appendix
// B). Rows of ds sum to zero as well as f32 can: a key's bias has no gradient, and what rounding leaves of
// one would be blown up by an optimizer that divides by gradients.

#include <cstdint>
#include <vector>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// As ops::attention received them.
struct AttentionInputs {
  Tensor q, k, v;  // [T, Hq, D], [S, Hkv, D], [S, Hkv, D]
  std::vector<int64_t> cu_seqlens_q, cu_seqlens_k;
  float scale;
  bool causal;
};

struct AttentionGradients {
  Tensor dq, dk, dv;  // shapes of q, k, v
};

}  // namespace vl3::ops
