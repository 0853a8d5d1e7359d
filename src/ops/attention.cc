#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/attention_backward.h"
#include "ops/cpu/kernels.h"
#include "ops/tape.h"

namespace vl3::ops {
namespace {

// Rows of one task: queries times the heads that share a key head, so that keys are read once for all of
// them.
constexpr int64_t kRows = 128;
// Keys handled at once: their transpose, the scores and the values stay in the second-level cache.
constexpr int64_t kKeys = 128;
// Up to this many rows keys are streamed past the queries instead of being transposed.
constexpr int64_t kFewRows = 8;

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// One thread's buffers, cut from one allocation.
struct Scratch {
  float *q, *keys, *scores, *values, *out, *maximum, *sum;

  static int64_t words(int64_t rows, int64_t width, int64_t padded) {
    return rows * width + kKeys * width + rows * kKeys + kKeys * padded + rows * padded + 2 * rows;
  }
  Scratch(float* p, int64_t rows, int64_t width, int64_t padded) {
    q = p;
    keys = q + rows * width;
    scores = keys + kKeys * width;
    values = scores + rows * kKeys;
    out = values + kKeys * padded;
    maximum = out + rows * padded;
    sum = maximum + rows;
  }
};

// What one task computes: queries [first, first + queries) of a sequence, for the heads of one key head.
struct Task {
  const AttentionSequence* sequence;
  int64_t kv_head, first, queries;
};

struct Attention {
  const KernelSet& kernels;
  const float* q;
  float* y;
  int64_t heads, kv_heads, width, padded;  // padded: width in whole vectors
  float scale;
  bool causal;

  int64_t group() const { return heads / kv_heads; }
  void run(const Task& task, Scratch s) const;

 private:
  const float* query(const Task& task, int64_t row) const {
    const int64_t token = task.sequence->q_begin + task.first + row / group();
    return q + (token * heads + task.kv_head * group() + row % group()) * width;
  }
  // Keys that a row sees.
  int64_t visible(const Task& task, int64_t row) const {
    const AttentionSequence& s = *task.sequence;
    if (!causal) return s.kv.length;
    return s.kv.length - (s.q_end - s.q_begin) + task.first + row / group() + 1;
  }
  void score(const Task& task, int64_t rows, int64_t key, int64_t count, const Scratch& s) const;
  void weigh(const Task& task, int64_t rows, int64_t key, int64_t count, const Scratch& s) const;
};

// f(position in the tile, address of the keys or values, tokens) for every stretch of tokens in one block.
template <class F>
void stretches(const KeyValueView& kv, const std::vector<const float*>& blocks, int64_t head, int64_t begin,
               int64_t count, F&& f) {
  for (int64_t done = 0; done < count;) {
    const int64_t token = begin + done, inside = token % kv.block_tokens;
    const int64_t length = std::min(count - done, kv.block_tokens - inside);
    f(done,
      blocks[static_cast<size_t>(token / kv.block_tokens)] + inside * kv.token_stride + head * kv.head_stride,
      length);
    done += length;
  }
}

// scores [rows, kKeys] = q kᵀ
void Attention::score(const Task& task, int64_t rows, int64_t key, int64_t count, const Scratch& s) const {
  const KeyValueView& kv = task.sequence->kv;
  if (rows <= kFewRows) {
    stretches(kv, kv.k_blocks, task.kv_head, key, count, [&](int64_t at, const float* k, int64_t length) {
      kernels.dots(k, WeightType::kF32, kv.token_stride, length, s.q, width, rows, width, s.scores + at,
                   kKeys);
    });
    return;
  }
  // A stretch that does not begin at a whole vector would overwrite its neighbour's padding: it goes key by
  // key.
  stretches(kv, kv.k_blocks, task.kv_head, key, count, [&](int64_t at, const float* k, int64_t length) {
    if (at % kernels.width == 0)
      return kernels.transpose(k, kv.token_stride, length, width, s.keys + at, kKeys);
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t d = 0; d < width; ++d) s.keys[d * kKeys + at + i] = k[i * kv.token_stride + d];
    }
  });
  const int64_t columns = round_up(count, kernels.width);
  for (int64_t row = 0; row < rows; row += kernels.tile_rows) {
    const int64_t m = std::min(kernels.tile_rows, rows - row);
    for (int64_t j = 0; j < columns; j += kernels.tile_columns) {
      kernels.tile(s.q + row * width, width, s.keys + j, kKeys, m,
                   std::min(kernels.tile_columns, columns - j), width, s.scores + row * kKeys + j, kKeys,
                   false);
    }
  }
}

// out [rows, padded] += scores · v
void Attention::weigh(const Task& task, int64_t rows, int64_t key, int64_t count, const Scratch& s) const {
  const KeyValueView& kv = task.sequence->kv;
  stretches(kv, kv.v_blocks, task.kv_head, key, count, [&](int64_t at, const float* v, int64_t length) {
    for (int64_t i = 0; i < length; ++i) {
      float* target = s.values + (at + i) * padded;
      std::copy_n(v + i * kv.token_stride, width, target);
      std::fill(target + width, target + padded, 0.0f);
    }
  });
  for (int64_t row = 0; row < rows; row += kernels.tile_rows) {
    const int64_t m = std::min(kernels.tile_rows, rows - row);
    for (int64_t d = 0; d < padded; d += kernels.tile_columns) {
      kernels.tile(s.scores + row * kKeys, kKeys, s.values + d, padded, m,
                   std::min(kernels.tile_columns, padded - d), count, s.out + row * padded + d, padded, true);
    }
  }
}

void Attention::run(const Task& task, Scratch s) const {
  const int64_t rows = task.queries * group();
  for (int64_t r = 0; r < rows; ++r) std::copy_n(query(task, r), width, s.q + r * width);
  std::fill_n(s.out, rows * padded, 0.0f);
  std::fill_n(s.maximum, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(s.sum, rows, 0.0f);
  const int64_t keys = std::min(task.sequence->kv.length, visible(task, rows - 1));
  for (int64_t key = 0; key < keys; key += kKeys) {
    const int64_t count = std::min(kKeys, keys - key);
    score(task, rows, key, count, s);
    for (int64_t r = 0; r < rows; ++r) {
      float* scores = s.scores + r * kKeys;
      const int64_t seen = std::clamp<int64_t>(visible(task, r) - key, 0, count);
      std::fill(scores + seen, scores + count, 0.0f);
      if (seen == 0) continue;
      const float correction = kernels.softmax_step(scores, seen, scale, s.maximum + r, s.sum + r);
      if (correction != 1.0f) kernels.scale(s.out + r * padded, padded, correction);
    }
    weigh(task, rows, key, count, s);
  }
  for (int64_t r = 0; r < rows; ++r) {
    float* target = y + (query(task, r) - q);
    const float inverse = s.sum[r] > 0 ? 1.0f / s.sum[r] : 0.0f;
    for (int64_t d = 0; d < width; ++d) target[d] = s.out[r * padded + d] * inverse;
  }
}

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
  view.k_blocks = {k.data<float>()};
  view.v_blocks = {v.data<float>()};
  view.block_tokens = std::max<int64_t>(k.dim(0), 1);
  view.token_stride = k.dim(1) * k.dim(2);
  view.head_stride = k.dim(2);
  view.length = k.dim(0);
  return view;
}

Tensor attention(Context& context, const Tensor& q, std::span<const AttentionSequence> sequences,
                 int64_t num_kv_heads, float scale, bool causal) {
  check(q, sequences, num_kv_heads, causal);
  Tensor y = context.empty(q.shape());
  const int64_t width = q.dim(2), padded = round_up(width, context.kernels().width);
  const Attention work{context.kernels(),
                       q.data<float>(),
                       y.data<float>(),
                       q.dim(1),
                       num_kv_heads,
                       width,
                       padded,
                       scale,
                       causal};
  const int64_t queries = std::max<int64_t>(1, kRows / work.group()), rows = queries * work.group();
  std::vector<Task> tasks;
  int64_t covered = 0;
  for (const AttentionSequence& s : sequences) {
    covered += s.q_end - s.q_begin;
    for (int64_t first = 0; first < s.q_end - s.q_begin; first += queries) {
      const int64_t count = std::min(queries, s.q_end - s.q_begin - first);
      for (int64_t head = 0; head < num_kv_heads; ++head) tasks.push_back({&s, head, first, count});
    }
  }
  if (covered < q.dim(0)) std::fill_n(y.data<float>(), y.numel(), 0.0f);
  if (causal)
    std::reverse(tasks.begin(), tasks.end());  // the longest first, so that the threads end together
  const int64_t words = round_up(Scratch::words(rows, width, padded), 16);
  const Tensor scratch = context.empty({context.threads().size(), words});
  context.threads().parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t i, int64_t, int thread) {
    work.run(tasks[static_cast<size_t>(i)],
             Scratch(scratch.data<float>() + thread * words, rows, width, padded));
  });
  return y;
}

Tensor attention(Context& context, const Tensor& q, const Tensor& k, const Tensor& v,
                 std::span<const int64_t> cu_seqlens_q, std::span<const int64_t> cu_seqlens_k, float scale,
                 bool causal) {
  require(q.rank() == 3 && k.rank() == 3 && q.dim(2) == k.dim(2), ErrorCode::kInvalidArgument,
          "[attention] q {} and k {} should be [T, Hq, D] and [S, Hkv, D]", to_string(q.shape()),
          to_string(k.shape()));
  const auto sequences = dense_sequences(k, v, cu_seqlens_q, cu_seqlens_k);
  Tensor y = attention(context, q, sequences, k.dim(1), scale, causal);
  if (Tape* tape = tape_for(context, {&q, &k, &v})) {
    const AttentionInputs inputs{q,
                                 k,
                                 v,
                                 {cu_seqlens_q.begin(), cu_seqlens_q.end()},
                                 {cu_seqlens_k.begin(), cu_seqlens_k.end()},
                                 scale,
                                 causal};
    tape->record(y, [inputs, y](Context& c, Tape& t, const Tensor& dy) {
      const AttentionGradients gradients = attention_backward(c, inputs, y, dy);
      t.add_gradient(inputs.q, gradients.dq);
      t.add_gradient(inputs.k, gradients.dk);
      t.add_gradient(inputs.v, gradients.dv);
    });
  }
  return y;
}

Tensor attention_weights(Context& context, const Tensor& q, const AttentionSequence& sequence,
                         int64_t num_kv_heads, float scale, bool causal) {
  check(q, std::span(&sequence, 1), num_kv_heads, causal);
  const KeyValueView& kv = sequence.kv;
  const int64_t heads = q.dim(1), width = q.dim(2), rows = sequence.q_end - sequence.q_begin;
  Tensor weights = context.empty({heads, rows, kv.length});
  context.threads().parallel_for(heads * rows, 1, [&](int64_t i, int64_t, int) {
    const int64_t head = i / rows, row = i % rows;
    const float* query = q.data<float>() + ((sequence.q_begin + row) * heads + head) * width;
    float* out = weights.data<float>() + i * kv.length;
    const int64_t seen = causal ? kv.length - rows + row + 1 : kv.length;
    std::fill(out, out + kv.length, 0.0f);
    if (seen <= 0) return;
    stretches(kv, kv.k_blocks, head / (heads / num_kv_heads), 0, seen,
              [&](int64_t at, const float* k, int64_t length) {
                context.kernels().dots(k, WeightType::kF32, kv.token_stride, length, query, width, 1, width,
                                       out + at, 0);
              });
    float maximum = -std::numeric_limits<float>::infinity(), sum = 0;
    context.kernels().softmax_step(out, seen, scale, &maximum, &sum);
    context.kernels().scale(out, seen, 1.0f / sum);
  });
  return weights;
}

}  // namespace vl3::ops
