#pragma once
// Attention: softmax(scale · q kᵀ) v, one contract for frames of the vision encoder, packed training batches,
// prefill and decode. Keys are handled in tiles with a running maximum and sum ("flash"), so memory grows
// with tokens, not their square.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ops/cache_row.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Keys and values of one sequence, in blocks of block_tokens tokens (the last one may be shorter). A block
// of a cache holds both, each at an offset that is the same for all blocks: the table of blocks serves every
// layer. Within the keys or the values of a block token j of head h begins at byte j · token_stride +
// h · head_stride. Owns nothing.
struct KeyValueView {
  std::span<std::byte* const> blocks;          // where each begins; written by cache_append alone
  int64_t k_offset = 0, v_offset = 0;          // bytes
  const std::byte *k = nullptr, *v = nullptr;  // instead of blocks: one that is nobody's cache (dense_view)
  CacheType type = CacheType::kF32;
  int64_t block_tokens = 0;
  int64_t token_stride = 0, head_stride = 0;  // bytes
  int64_t length = 0;
  const float *k_factors = nullptr, *v_factors = nullptr;  // [Hkv, D] that rows were stored with; null: ones

  const std::byte* keys(int64_t block) const {
    return blocks.empty() ? k : blocks[static_cast<size_t>(block)] + k_offset;
  }
  const std::byte* values(int64_t block) const {
    return blocks.empty() ? v : blocks[static_cast<size_t>(block)] + v_offset;
  }
};

// k, v: [S, Hkv, D] f32 as one block. The tensors must outlive the view.
KeyValueView dense_view(const Tensor& k, const Tensor& v);

// Rows [q_begin, q_end) of q attend to kv. Causal: the last of them sees all keys, the one before all but
// one, and so on.
struct AttentionSequence {
  int64_t q_begin = 0, q_end = 0;
  KeyValueView kv;
};

// What queries, keys, values and probabilities may be rounded to where the hardware is faster with that.
enum class Precision { kF32, kBF16 };

// q [T, Hq, D] f32 → [T, Hq, D] f32. Query head h reads key head h / (Hq / num_kv_heads). Rows of a sequence
// without keys, and rows of q in no sequence, are zero. D is a multiple of 4. Not differentiable. Numerics:
// sums in f32; products in f32, unless Precision::kBF16, Compute::kAuto, hardware with bf16 dot products and
// more than kFewRows queries (row_runs.h). A sequence's rows do not depend on the other sequences, nor on how
// its keys are cut into blocks, on the number of threads, or, of up to kFewRows queries and of more, on how
// many queries there are, to the bit.
// Throws kInvalidArgument for shapes that do not fit each other, borders outside q, and, when causal, fewer
// keys than rows.
Tensor attention(Context& context, const Tensor& q, std::span<const AttentionSequence> sequences,
                 int64_t num_kv_heads, float scale, bool causal, Precision precision = Precision::kF32);

// The same with keys and values [S, Hkv, D] of this batch: sequence s has the rows [cu_seqlens_q[s],
// cu_seqlens_q[s + 1]) of q and [cu_seqlens_k[s], cu_seqlens_k[s + 1]) of k and v. Differentiable in q, k and
// v.
Tensor attention(Context& context, const Tensor& q, const Tensor& k, const Tensor& v,
                 std::span<const int64_t> cu_seqlens_q, std::span<const int64_t> cu_seqlens_k, float scale,
                 bool causal, Precision precision = Precision::kF32);

// The probabilities themselves, for people who want to look: [Hq, rows, kv.length] of one sequence, in f32.
Tensor attention_weights(Context& context, const Tensor& q, const AttentionSequence& sequence,
                         int64_t num_kv_heads, float scale, bool causal);

}  // namespace vl3::ops
