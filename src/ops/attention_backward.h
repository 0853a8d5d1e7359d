#pragma once
// The way back through attention, some rows of scores at a time: memory stays linear in tokens.

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

// dy: the gradient of the result, [T, Hq, D]. With p = softmax(scale q kᵀ), dp = dy vᵀ: dv = pᵀ dy,
// ds = p (dp - rowsum(p dp)), dq = scale ds k, dk = scale dsᵀ q (FlashAttention, arXiv 2205.14135, appendix
// B). Rows of ds sum to zero as well as f32 can: a key's bias has no gradient, and what rounding leaves of
// one would be blown up by an optimizer that divides by gradients.
AttentionGradients attention_backward(Context& context, const AttentionInputs& inputs, const Tensor& dy);

}  // namespace vl3::ops
