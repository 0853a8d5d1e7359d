#include "ops/attention.h"

#include <algorithm>

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/attention_backward.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {
namespace {

void check(const Tensor& q, std::span<const AttentionSequence> sequences, int64_t num_kv_heads, bool causal) {
  require(
      q.rank() == 3 && num_kv_heads > 0 && q.dim(1) % num_kv_heads == 0 && q.dim(2) % 4 == 0 && q.dim(2) > 0,
      ErrorCode::kInvalidArgument,
      "[attention] q {} should be [T, Hq, D] with D a multiple of 4 and Hq one of {}", to_string(q.shape()),
      num_kv_heads);
  for (const AttentionSequence& s : sequences) {
    const int64_t rows = s.q_end - s.q_begin;
    require(s.q_begin >= 0 && rows >= 0 && s.q_end <= q.dim(0), ErrorCode::kInvalidArgument,
            "[attention] rows {} to {} of q {}", s.q_begin, s.q_end, to_string(q.shape()));
    require(!causal || s.kv.length == 0 || s.kv.length >= rows, ErrorCode::kInvalidArgument,
            "[attention] causal, with {} queries behind {} keys", rows, s.kv.length);
  }
}

std::vector<AttentionSequence> dense_sequences(const Tensor& k, const Tensor& v,
                                               std::span<const int64_t> cu_seqlens_q,
                                               std::span<const int64_t> cu_seqlens_k) {
  require(cu_seqlens_q.size() == cu_seqlens_k.size() && !cu_seqlens_q.empty() && k.rank() == 3 &&
              k.shape() == v.shape(),
          ErrorCode::kInvalidArgument, "[attention] k {}, v {}, {} and {} borders", to_string(k.shape()),
          to_string(v.shape()), cu_seqlens_q.size(), cu_seqlens_k.size());
  std::vector<AttentionSequence> sequences;
  for (size_t i = 0; i + 1 < cu_seqlens_q.size(); ++i) {
    sequences.push_back({cu_seqlens_q[i], cu_seqlens_q[i + 1],
                         dense_view(k.rows(cu_seqlens_k[i], cu_seqlens_k[i + 1]),
                                    v.rows(cu_seqlens_k[i], cu_seqlens_k[i + 1]))});
  }
  return sequences;
}

}  // namespace

KeyValueView dense_view(const Tensor& k, const Tensor& v) {
  KeyValueView view;
  view.k_blocks = {k.raw()};
  view.v_blocks = {v.raw()};
  view.block_tokens = std::max<int64_t>(k.dim(0), 1);
  view.head_stride = k.dim(2) * static_cast<int64_t>(sizeof(float));
  view.token_stride = k.dim(1) * view.head_stride;
  view.length = k.dim(0);
  return view;
}

Tensor attention(Context& context, const Tensor& q, std::span<const AttentionSequence> sequences,
                 int64_t num_kv_heads, float scale, bool causal, Precision precision) {
  check(q, sequences, num_kv_heads, causal);
  check_devices(context, "attention", {{"q", q}});
  Tensor y = context.empty(q.shape());
  implementation(context, "attention", cpu::attention)(context, q, sequences, num_kv_heads, scale, causal,
                                                       precision, y);
  return y;
}

Tensor attention(Context& context, const Tensor& q, const Tensor& k, const Tensor& v,
                 std::span<const int64_t> cu_seqlens_q, std::span<const int64_t> cu_seqlens_k, float scale,
                 bool causal, Precision precision) {
  require(q.rank() == 3 && k.rank() == 3 && q.dim(2) == k.dim(2), ErrorCode::kInvalidArgument,
          "[attention] q {} and k {} should be [T, Hq, D] and [S, Hkv, D]", to_string(q.shape()),
          to_string(k.shape()));
  check_devices(context, "attention", {{"q", q}, {"k", k}, {"v", v}});
  implementation(context, "attention", cpu::attention);  // before the host asks where keys begin
  const auto sequences = dense_sequences(k, v, cu_seqlens_q, cu_seqlens_k);
  Tensor y = attention(context, q, sequences, k.dim(1), scale, causal, precision);
  if (Tape* tape = tape_for(context, {&q, &k, &v})) {
    const AttentionInputs inputs{q,
                                 k,
                                 v,
                                 {cu_seqlens_q.begin(), cu_seqlens_q.end()},
                                 {cu_seqlens_k.begin(), cu_seqlens_k.end()},
                                 scale,
                                 causal};
    tape->record(y, [inputs](Context& c, Tape& t, const Tensor& dy) {
      const AttentionGradients gradients =
          implementation(c, "attention", cpu::attention_backward)(c, inputs, dy);
      t.add_gradient(c, inputs.q, gradients.dq);
      t.add_gradient(c, inputs.k, gradients.dk);
      t.add_gradient(c, inputs.v, gradients.dv);
    });
  }
  return y;
}

Tensor attention_weights(Context& context, const Tensor& q, const AttentionSequence& sequence,
                         int64_t num_kv_heads, float scale, bool causal) {
  check(q, std::span(&sequence, 1), num_kv_heads, causal);
  check_devices(context, "attention_weights", {{"q", q}});
  Tensor weights = context.empty({q.dim(1), sequence.q_end - sequence.q_begin, sequence.kv.length});
  implementation(context, "attention_weights", cpu::attention_weights)(context, q, sequence, num_kv_heads,
                                                                       scale, causal, weights);
  return weights;
}

}  // namespace vl3::ops
