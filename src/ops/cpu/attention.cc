#include "ops/attention.h"

#include <algorithm>
#include <limits>

#include "ops/cpu/attention_parts.h"
#include "ops/cpu/cpu_ops.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

// A sequence of few queries as parts of kFewAttentionRows rows. The last of a part see the keys up to their
// own.
void add_parts(const AttentionProblem& p, const AttentionSequence& s, std::vector<AttentionSequence>& parts) {
  const int64_t queries = kFewAttentionRows / p.group();
  for (int64_t begin = s.q_begin; begin < s.q_end; begin += queries) {
    AttentionSequence part = s;
    part.q_begin = begin;
    part.q_end = std::min(begin + queries, s.q_end);
    if (p.causal) part.kv.length -= s.q_end - part.q_end;
    parts.push_back(part);
  }
}

}  // namespace

void attention(Context& context, const Tensor& q, std::span<const AttentionSequence> sequences,
               int64_t num_kv_heads, float scale, bool causal, Precision precision, const Tensor& y) {
  const AttentionProblem problem{context,  q.data<float>(), y.mutable_data<float>(),
                                 q.dim(1), num_kv_heads,    q.dim(2),
                                 scale,    causal,          precision};
  std::vector<AttentionSequence> few;
  std::vector<const AttentionSequence*> many;
  int64_t covered = 0;
  for (const AttentionSequence& s : sequences) {
    if (s.q_end == s.q_begin || s.kv.length == 0) continue;
    covered += s.q_end - s.q_begin;
    if (s.q_end - s.q_begin <= kFewRows && problem.group() <= kFewAttentionRows)
      add_parts(problem, s, few);
    else
      many.push_back(&s);
  }
  if (covered < q.dim(0)) std::fill_n(y.mutable_data<float>(), y.numel(), 0.0f);
  if (!few.empty()) split_kv_attention(problem, few);
  if (!many.empty()) tiled_attention(problem, many);
}

void attention_weights(Context& context, const Tensor& q, const AttentionSequence& sequence,
                       int64_t num_kv_heads, float scale, bool causal, const Tensor& weights) {
  const KeyValueView& kv = sequence.kv;
  const int64_t heads = q.dim(1), width = q.dim(2), rows = sequence.q_end - sequence.q_begin;
  const AttentionProblem problem{context, q.data<float>(), nullptr, heads,          num_kv_heads,
                                 width,   scale,           causal,  Precision::kF32};
  float* target = weights.mutable_data<float>();
  context.threads().parallel_for(heads * rows, 1, [&](int64_t i, int64_t, int) {
    const int64_t head = i / rows, row = i % rows;
    const int64_t kv_head = head / (heads / num_kv_heads);
    std::vector<float> query(static_cast<size_t>(width));
    std::copy_n(q.data<float>() + ((sequence.q_begin + row) * heads + head) * width, width, query.data());
    problem.to_stored_query(sequence, kv_head, query.data());
    float* out = target + i * kv.length;
    const int64_t seen = causal ? kv.length - rows + row + 1 : kv.length;
    std::fill(out, out + kv.length, 0.0f);
    if (seen <= 0) return;
    std::vector<float> buffer(static_cast<size_t>(kRunRows * width));
    for_runs(kernels_of(context), kv, Plane::kKeys, kv_head, width, 0, seen, buffer.data(),
             [&](const KeyValueRun& k) {
               kernels_of(context).gemv(k.rows, k.type, k.stride, k.count, query.data(), width, 1, width,
                                        out + k.at, 0, k.next);
             });
    float maximum = -std::numeric_limits<float>::infinity(), sum = 0;
    kernels_of(context).softmax_step(out, seen, scale, &maximum, &sum);
    kernels_of(context).scale(out, seen, 1.0f / sum);
  });
}

}  // namespace vl3::ops::cpu
