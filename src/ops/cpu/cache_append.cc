#include "ops/cache_append.h"

#include <algorithm>

#include "ops/cache_row.h"
#include "ops/cpu/cpu_ops.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

constexpr int64_t kGrain = 32;  // tokens a thread takes at once

// Row number `row` of the sequence's own, of keys or of values.
void store(const KernelSet& kernels, const AttentionSequence& s, int64_t row, bool values, const Tensor& x) {
  const KeyValueView& kv = s.kv;
  const int64_t heads = x.dim(1), width = x.dim(2);
  const int64_t token = kv.length - (s.q_end - s.q_begin) + row;
  const float* source = x.data<float>() + (s.q_begin + row) * heads * width;
  const float* factors = values ? kv.v_factors : kv.k_factors;
  std::byte* target = kv.blocks[static_cast<size_t>(token / kv.block_tokens)] +
                      (values ? kv.v_offset : kv.k_offset) + token % kv.block_tokens * kv.token_stride;
  for (int64_t head = 0; head < heads; ++head) {
    store_row(kernels, kv.type, source + head * width, width, target + head * kv.head_stride,
              factors == nullptr ? nullptr : factors + head * width);
  }
}

}  // namespace

void cache_append(Context& context, const Tensor& k, const Tensor& v,
                  std::span<const AttentionSequence> sequences) {
  int64_t total = 0;
  for (const AttentionSequence& s : sequences) total += s.q_end - s.q_begin;
  context.threads().parallel_for(total, kGrain, [&](int64_t begin, int64_t end, int) {
    int64_t first = 0;  // of the sequence, among the rows of all
    for (const AttentionSequence& s : sequences) {
      const int64_t rows = s.q_end - s.q_begin;
      for (int64_t i = std::max(begin, first); i < std::min(end, first + rows); ++i) {
        store(kernels_of(context), s, i - first, false, k);
        store(kernels_of(context), s, i - first, true, v);
      }
      first += rows;
    }
  });
}

}  // namespace vl3::ops::cpu
