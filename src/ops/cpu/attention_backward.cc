#include "ops/attention_backward.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

constexpr int64_t kRows = 48;           // of queries that go back together
constexpr int64_t kLeastKeys = 1 << 7;  // of the buffers: one size for all short sequences

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// One thread's buffers, for sequences of up to `keys` keys and heads of `width`, which is filled up to whole
// groups of columns. Panels are what KernelSet::pack makes, rows what KernelSet::pack_rows does.
struct Buffers {
  float *k_panels, *v_panels;  // [keys / tile_columns][width][tile_columns]
  float* k_rows;               // [width / tile_columns][keys][tile_columns]
  float *q_rows, *dy_rows;     // [width / tile_columns][kRows][tile_columns]
  float *p, *dp;               // [kRows][keys]: probabilities; gradients of them, then of scores
  float* transposed;           // [keys][kRows]

  static int64_t size(int64_t keys, int64_t width) {
    return keys * (3 * width + 3 * kRows) + 2 * kRows * width;
  }
  Buffers(float* memory, int64_t keys, int64_t width)
      : k_panels(memory),
        v_panels(k_panels + keys * width),
        k_rows(v_panels + keys * width),
        q_rows(k_rows + keys * width),
        dy_rows(q_rows + kRows * width),
        p(dy_rows + kRows * width),
        dp(p + keys * kRows),
        transposed(dp + keys * kRows) {}
};

struct Backward {
  const KernelSet& kernels;
  const AttentionInputs& in;
  const Tensor& dy;
  AttentionGradients& out;
  int64_t ld;  // keys that the buffers hold

  // All rows of the query heads that share one key head, in one sequence.
  void run(size_t sequence, int64_t kv_head, const Buffers& b) const {
    const int64_t width = in.q.dim(2), stride = in.k.dim(1) * width, group = in.q.dim(1) / in.k.dim(1);
    const int64_t q0 = in.cu_seqlens_q[sequence], q1 = in.cu_seqlens_q[sequence + 1];
    const int64_t k0 = in.cu_seqlens_k[sequence], keys = in.cu_seqlens_k[sequence + 1] - k0;
    if (q1 == q0 || keys == 0) return;
    const int64_t first = k0 * stride + kv_head * width, step = kernels.tile_columns;
    for (int64_t j = 0; j < keys; j += step) {
      const int64_t n = std::min(step, keys - j);
      kernels.pack(in.k.data<float>() + first + j * stride, WeightType::kF32, stride, n, width,
                   b.k_panels + j * width);
      kernels.pack(in.v.data<float>() + first + j * stride, WeightType::kF32, stride, n, width,
                   b.v_panels + j * width);
    }
    pack_rows(in.k.data<float>() + first, stride, keys, ld, b.k_rows);
    for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
      for (int64_t t = q0; t < q1; t += kRows) {
        const int64_t rows = std::min(kRows, q1 - t);
        const int64_t seen = in.causal ? keys - (q1 - t) + rows : keys;  // by the last of the rows
        if (seen > 0) block(t, rows, h, first, seen, b);
      }
    }
  }

  // target [rows][ld] = a [rows, width] · panelsᵀ
  void scores(const float* a, int64_t lda, int64_t rows, const float* panels, int64_t seen,
              float* target) const {
    const int64_t step = kernels.tile_columns, width = in.q.dim(2);
    for (int64_t r = 0; r < rows; r += kernels.tile_rows) {
      const int64_t m = std::min(kernels.tile_rows, rows - r);
      for (int64_t j = 0; j < seen; j += step) {
        kernels.tile(a + r * lda, lda, panels + j * width, step, m, step, width, target + r * ld + j, ld,
                     false);
      }
    }
  }

  // Rows of one head, a group of columns after the other, each as [room][tile_columns].
  void pack_rows(const float* x, int64_t stride, int64_t rows, int64_t room, float* target) const {
    const int64_t step = kernels.tile_columns, width = in.q.dim(2);
    for (int64_t c = 0; c < width; c += step)
      kernels.pack_rows(x + c, WeightType::kF32, stride, std::min(step, width - c), rows, target + c * room);
  }

  // y [rows, width] += a [rows, n] · x [n, width], x as pack_rows leaves it.
  void add_product(const float* a, int64_t lda, int64_t rows, int64_t n, const float* x, int64_t room,
                   float* y, int64_t ldy) const {
    const int64_t step = kernels.tile_columns, width = in.q.dim(2);
    for (int64_t c = 0; c < width; c += step) {
      for (int64_t r = 0; r < rows; r += kernels.tile_rows) {
        kernels.tile(a + r * lda, lda, x + c * room, step, std::min(kernels.tile_rows, rows - r),
                     std::min(step, width - c), n, y + r * ldy + c, ldy, true);
      }
    }
  }

  void block(int64_t t, int64_t rows, int64_t head, int64_t first, int64_t seen, const Buffers& b) const {
    const int64_t width = in.q.dim(2), q_stride = in.q.dim(1) * width, stride = in.k.dim(1) * width;
    const int64_t at = t * q_stride + head * width;
    const float *q = in.q.data<float>() + at, *d = dy.data<float>() + at;
    scores(q, q_stride, rows, b.k_panels, seen, b.p);
    scores(d, q_stride, rows, b.v_panels, seen, b.dp);
    for (int64_t r = 0; r < rows; ++r) {
      float *p = b.p + r * ld, *dp = b.dp + r * ld;
      const int64_t mine = in.causal ? seen - (rows - 1 - r) : seen;
      if (mine > 0) {
        float maximum = -std::numeric_limits<float>::infinity(), sum = 0;
        kernels.softmax_step(p, mine, in.scale, &maximum, &sum);
        kernels.scale(p, mine, 1.0f / sum);
        float delta = 0;  // Σ p dp; d · y is the same number, but does not cancel as well below
        kernels.gemv(p, WeightType::kF32, ld, 1, dp, ld, 1, mine, &delta, 1, nullptr);
        kernels.softmax_backward(p, dp, mine, delta, in.scale);
      }
      std::fill(p + std::max<int64_t>(mine, 0), p + seen, 0.0f);
      std::fill(dp + std::max<int64_t>(mine, 0), dp + seen, 0.0f);
    }
    add_product(b.dp, ld, rows, seen, b.k_rows, ld, out.dq.mutable_data<float>() + at, q_stride);
    pack_rows(q, q_stride, rows, kRows, b.q_rows);
    kernels.transpose(b.dp, ld, rows, seen, b.transposed, kRows);
    add_product(b.transposed, kRows, seen, rows, b.q_rows, kRows, out.dk.mutable_data<float>() + first,
                stride);
    pack_rows(d, q_stride, rows, kRows, b.dy_rows);
    kernels.transpose(b.p, ld, rows, seen, b.transposed, kRows);
    add_product(b.transposed, kRows, seen, rows, b.dy_rows, kRows, out.dv.mutable_data<float>() + first,
                stride);
  }
};

Tensor zeros_like(Context& context, const Tensor& x) {
  Tensor result = context.empty(x.shape());
  if (result.numel() > 0) std::memset(result.mutable_raw(), 0, result.bytes());
  return result;
}

}  // namespace

AttentionGradients attention_backward(Context& context, const AttentionInputs& inputs, const Tensor& dy) {
  AttentionGradients out{zeros_like(context, inputs.q), zeros_like(context, inputs.k),
                         zeros_like(context, inputs.v)};
  const Tensor gradient = dy.reshape(inputs.q.shape());
  const int64_t sequences = static_cast<int64_t>(inputs.cu_seqlens_k.size()) - 1;
  int64_t longest = kLeastKeys;
  for (size_t i = 0; i + 1 < inputs.cu_seqlens_k.size(); ++i)
    longest = std::max(longest, inputs.cu_seqlens_k[i + 1] - inputs.cu_seqlens_k[i]);
  const int64_t keys = round_up(longest, kernels_of(context).tile_columns);
  const Backward work{kernels_of(context), inputs, gradient, out, keys};
  const int64_t width = round_up(inputs.q.dim(2), kernels_of(context).tile_columns);
  const int64_t kv_heads = inputs.k.dim(1), size = Buffers::size(keys, width);
  const Tensor scratch = context.empty({context.threads().size(), size});
  context.threads().parallel_for(sequences * kv_heads, 1, [&](int64_t task, int64_t, int thread) {
    work.run(static_cast<size_t>(task / kv_heads), task % kv_heads,
             Buffers(scratch.mutable_data<float>() + thread * size, keys, width));
  });
  return out;
}

}  // namespace vl3::ops::cpu
