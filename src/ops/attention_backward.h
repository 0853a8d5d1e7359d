#pragma once
// The way back through attention, one row of scores at a time: memory stays linear in tokens.

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

// y and dy: the result and its gradient, [T, Hq, D]. With p = softmax(scale q kᵀ): dv = pᵀ dy,
// ds = p (dy vᵀ - rowsum(dy y)), dq = scale ds k, dk = scale dsᵀ q (FlashAttention, arXiv 2205.14135,
// appendix B).
AttentionGradients attention_backward(Context& context, const AttentionInputs& inputs, const Tensor& y,
                                      const Tensor& dy);

}  // namespace vl3::ops
