#pragma once
// Attention: softmax(scale · q kᵀ) v, one contract for frames of the vision encoder, packed training batches,
// prefill and decode. Rows are handled in tiles with a running maximum and sum ("flash"), so memory grows
// with tokens, not their square.

#include <cstdint>
#include <span>
#include <vector>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Keys and values of one sequence, f32, in blocks of block_tokens tokens (the last one may be shorter).
// Within a block token j of head h begins at j · token_stride + h · head_stride; strides count elements, a
// head's D numbers are dense.
struct KeyValueView {
  std::vector<const float*> k_blocks, v_blocks;
  int64_t block_tokens = 0;
  int64_t token_stride = 0, head_stride = 0;
  int64_t length = 0;
};

// k, v: [S, Hkv, D] f32 as one block. The tensors must outlive the view.
KeyValueView dense_view(const Tensor& k, const Tensor& v);

// Rows [q_begin, q_end) of q attend to kv. Causal: the last of them sees all keys, the one before all but
// one, and so on.
struct AttentionSequence {
  int64_t q_begin = 0, q_end = 0;
  KeyValueView kv;
};

// q [T, Hq, D] f32 → [T, Hq, D] f32. Query head h reads key head h / (Hq / num_kv_heads). Rows of a sequence
// without keys, and rows of q in no sequence, are zero. D is a multiple of 4. Not differentiable. Numerics:
// products and sums in f32, whatever the context's Compute; a sequence's rows do not depend on the other
// sequences, nor on how its keys are cut into blocks or on the number of threads, to the bit. Throws
// kInvalidArgument for shapes that do not fit each other, borders outside q, and, when causal, fewer keys
// than rows.
Tensor attention(Context& context, const Tensor& q, std::span<const AttentionSequence> sequences,
                 int64_t num_kv_heads, float scale, bool causal);

// The same with keys and values [S, Hkv, D] of this batch: sequence s has the rows [cu_seqlens_q[s],
// cu_seqlens_q[s + 1]) of q and [cu_seqlens_k[s], cu_seqlens_k[s + 1]) of k and v. Differentiable in q, k and
// v.
Tensor attention(Context& context, const Tensor& q, const Tensor& k, const Tensor& v,
                 std::span<const int64_t> cu_seqlens_q, std::span<const int64_t> cu_seqlens_k, float scale,
                 bool causal);

// The probabilities themselves, for people who want to look: [Hq, rows, kv.length] of one sequence.
Tensor attention_weights(Context& context, const Tensor& q, const AttentionSequence& sequence,
                         int64_t num_kv_heads, float scale, bool causal);

}  // namespace vl3::ops
