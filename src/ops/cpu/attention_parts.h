#pragma once
// How attention is computed: many queries against packed keys, or a few against keys as they lie.

#include <algorithm>
#include <span>
#include <vector>

#include "ops/attention.h"
#include "ops/cpu/kernels/kernels.h"
#include "ops/row_runs.h"
#include "runtime/context_parts.h"

namespace vl3::ops {

struct AttentionProblem {
  Context& context;
  const float* q;  // [T, heads, width]
  float* y;        // likewise
  int64_t heads, kv_heads, width;
  float scale;
  bool causal;
  Precision precision;

  const KernelSet& kernels() const { return kernels_of(context); }
  int64_t group() const { return heads / kv_heads; }
  // Rows of a sequence and key head: query r / group, head r % group of the group.
  int64_t rows(const AttentionSequence& s) const { return (s.q_end - s.q_begin) * group(); }
  // Where row r begins in q and y.
  int64_t offset(const AttentionSequence& s, int64_t kv_head, int64_t row) const {
    return ((s.q_begin + row / group()) * heads + kv_head * group() + row % group()) * width;
  }
  // In place, [width]: a query as the keys of its sequence are stored, and a sum of its stored values as it
  // was.
  void to_stored_query(const AttentionSequence& s, int64_t kv_head, float* query) const {
    const float* factors = s.kv.k_factors;
    to_stored(s.kv.type, query, width, factors == nullptr ? nullptr : factors + kv_head * width);
  }
  void from_stored_sum(const AttentionSequence& s, int64_t kv_head, float* sum) const {
    const float* factors = s.kv.v_factors;
    from_stored(s.kv.type, sum, width, factors == nullptr ? nullptr : factors + kv_head * width);
  }
  // Keys that a row sees.
  int64_t visible(const AttentionSequence& s, int64_t row) const {
    if (!causal) return s.kv.length;
    return s.kv.length - (s.q_end - s.q_begin) + row / group() + 1;
  }
};

inline int64_t size_of(WeightType type) { return type == WeightType::kF32 ? 4 : 2; }

// Keys or values of a head that lie in one block.
struct KeyValueRun {
  int64_t at, count;  // of the keys asked for
  const void* rows;
  WeightType type;
  int64_t stride;    // elements
  const void* next;  // the rows of the next stretch; null at the last one, or where they are fetched already

  const void* row(int64_t i) const {
    return static_cast<const std::byte*>(rows) + i * stride * size_of(type);
  }
};

// f(stretch) for all of keys or values [first, first + count) of a head, in order. Rows of int8 are widened
// into buffer [kRunRows][width], others stay as they are.
inline constexpr int64_t kRunRows = 64;
enum class Plane { kKeys, kValues };
template <class F>
void for_runs(const KernelSet& kernels, const KeyValueView& kv, Plane plane, int64_t head, int64_t width,
              int64_t first, int64_t count, float* buffer, F&& f) {
  const auto address = [&](int64_t token) {
    const int64_t block = token / kv.block_tokens;
    return (plane == Plane::kKeys ? kv.keys(block) : kv.values(block)) +
           token % kv.block_tokens * kv.token_stride + head * kv.head_stride;
  };
  const WeightType type = kv.type == CacheType::kF16 ? WeightType::kF16 : WeightType::kF32;
  for (int64_t done = 0; done < count;) {
    const int64_t token = first + done;
    int64_t rows = std::min(count - done, kv.block_tokens - token % kv.block_tokens);
    if (kv.type == CacheType::kInt8) rows = std::min(rows, kRunRows);
    const std::byte* row = address(token);
    const std::byte* next = done + rows < count ? address(token + rows) : nullptr;
    if (kv.type == CacheType::kInt8) {
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t line = 0; next != nullptr && line < width; line += 64)
          __builtin_prefetch(next + i * kv.token_stride + line, 0, 2);
        widen_row(kernels, kv.type, row + i * kv.token_stride, width, buffer + i * width);
      }
      f(KeyValueRun{done, rows, buffer, type, width, nullptr});
    } else {
      f(KeyValueRun{done, rows, row, type, kv.token_stride / size_of(type), next});
    }
    done += rows;
  }
}

// Sequences of up to kFewAttentionRows rows. Keys are cut into fixed pieces, so that threads share one
// sequence, and the pieces are joined in order.
inline constexpr int64_t kFewAttentionRows = 16;
void split_kv_attention(const AttentionProblem& problem, std::span<const AttentionSequence> sequences);
// Longer ones. Keys and values are packed once; tiles of rows pass by.
void tiled_attention(const AttentionProblem& problem, std::span<const AttentionSequence* const> sequences);

}  // namespace vl3::ops
