#pragma once
// How attention is computed: many queries against packed keys, or a few against keys as they lie.

#include <algorithm>
#include <span>
#include <vector>

#include "ops/attention.h"
#include "ops/cpu/kernels.h"

namespace vl3::ops {

struct AttentionProblem {
  Context& context;
  const float* q;  // [T, heads, width]
  float* y;        // likewise
  int64_t heads, kv_heads, width;
  float scale;
  bool causal;
  Products products;

  const KernelSet& kernels() const { return context.kernels(); }
  int64_t group() const { return heads / kv_heads; }
  // Rows of a sequence and key head: query r / group, head r % group of the group.
  int64_t rows(const AttentionSequence& s) const { return (s.q_end - s.q_begin) * group(); }
  // Where row r begins in q and y.
  int64_t offset(const AttentionSequence& s, int64_t kv_head, int64_t row) const {
    return ((s.q_begin + row / group()) * heads + kv_head * group() + row % group()) * width;
  }
  // Keys that a row sees.
  int64_t visible(const AttentionSequence& s, int64_t row) const {
    if (!causal) return s.kv.length;
    return s.kv.length - (s.q_end - s.q_begin) + row / group() + 1;
  }
};

// Keys or values [first, first + count) of a head as f32 rows: f(position, address, row stride, rows) for
// every stretch in one block. Rows stored in another type are widened into buffer [kStretch][width].
inline constexpr int64_t kStretch = 64;
template <class F>
void for_stretches(const KernelSet& kernels, const KeyValueView& kv,
                   const std::vector<const std::byte*>& blocks, int64_t head, int64_t width, int64_t first,
                   int64_t count, float* buffer, F&& f) {
  for (int64_t done = 0; done < count;) {
    const int64_t token = first + done, inside = token % kv.block_tokens;
    int64_t rows = std::min(count - done, kv.block_tokens - inside);
    const std::byte* row = blocks[static_cast<size_t>(token / kv.block_tokens)] + inside * kv.token_stride +
                           head * kv.head_stride;
    if (kv.type == CacheType::kF32) {
      f(done, reinterpret_cast<const float*>(row), kv.token_stride / static_cast<int64_t>(sizeof(float)),
        rows);
    } else {
      rows = std::min(rows, kStretch);
      for (int64_t i = 0; i < rows; ++i)
        widen_row(kernels, kv.type, row + i * kv.token_stride, width, buffer + i * width);
      f(done, static_cast<const float*>(buffer), width, rows);
    }
    done += rows;
  }
}

// Sequences of up to kFewAttentionRows rows. Keys are cut into fixed pieces, so that threads share one
// sequence, and the pieces are joined in order.
void attend_few(const AttentionProblem& problem, std::span<const AttentionSequence* const> sequences);
// Longer ones. Keys and values are packed once; tiles of rows pass by.
void attend_many(const AttentionProblem& problem, std::span<const AttentionSequence* const> sequences);

}  // namespace vl3::ops
