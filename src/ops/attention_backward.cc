#include "ops/attention_backward.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/thread_pool.h"
#include "ops/cpu/kernels.h"

namespace vl3::ops {
namespace {

float dot(const float* a, const float* b, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void add_scaled(float* target, const float* source, float factor, int64_t n) {
  for (int64_t i = 0; i < n; ++i) target[i] += factor * source[i];
}

struct Backward {
  const KernelSet& kernels;
  const AttentionInputs& in;
  const Tensor &y, &dy;
  AttentionGradients& out;

  // All rows of the query heads that share one key head, in one sequence. p and ds: [longest sequence].
  void run(size_t sequence, int64_t kv_head, float* p, float* ds) const {
    const int64_t heads = in.q.dim(1), kv_heads = in.k.dim(1), group = heads / kv_heads;
    const int64_t q0 = in.cu_seqlens_q[sequence], q1 = in.cu_seqlens_q[sequence + 1];
    const int64_t k0 = in.cu_seqlens_k[sequence], k1 = in.cu_seqlens_k[sequence + 1];
    for (int64_t t = q0; t < q1; ++t) {
      const int64_t seen = in.causal ? k1 - k0 - (q1 - t) + 1 : k1 - k0;
      if (seen <= 0) continue;
      for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h)
        row((t * heads + h), k0, seen, kv_head, p, ds);
    }
  }

  void row(int64_t q_row, int64_t k0, int64_t seen, int64_t kv_head, float* p, float* ds) const {
    const int64_t width = in.q.dim(2), stride = in.k.dim(1) * width, first = k0 * stride + kv_head * width;
    const float *query = in.q.data<float>() + q_row * width, *d = dy.data<float>() + q_row * width;
    const float *k = in.k.data<float>() + first, *v = in.v.data<float>() + first;
    kernels.dots(k, WeightType::kF32, stride, seen, query, width, 1, width, p, 0);
    float maximum = -std::numeric_limits<float>::infinity(), sum = 0;
    kernels.softmax_step(p, seen, in.scale, &maximum, &sum);
    kernels.scale(p, seen, 1.0f / sum);
    kernels.dots(v, WeightType::kF32, stride, seen, d, width, 1, width, ds, 0);
    const float delta = dot(d, y.data<float>() + q_row * width, width);
    float* dq = out.dq.data<float>() + q_row * width;
    for (int64_t j = 0; j < seen; ++j) {
      const float slope = p[j] * (ds[j] - delta) * in.scale;
      add_scaled(dq, k + j * stride, slope, width);
      add_scaled(out.dk.data<float>() + first + j * stride, query, slope, width);
      add_scaled(out.dv.data<float>() + first + j * stride, d, p[j], width);
    }
  }
};

}  // namespace

AttentionGradients attention_backward(Context& context, const AttentionInputs& inputs, const Tensor& y,
                                      const Tensor& dy) {
  AttentionGradients out{Tensor::zeros(inputs.q.shape(), DType::kF32),
                         Tensor::zeros(inputs.k.shape(), DType::kF32),
                         Tensor::zeros(inputs.v.shape(), DType::kF32)};
  const Tensor gradient = dy.reshape(inputs.q.shape());
  const Backward work{context.kernels(), inputs, y, gradient, out};
  const int64_t kv_heads = inputs.k.dim(1), longest = std::max<int64_t>(inputs.k.dim(0), 1);
  const Tensor scratch = context.empty({context.threads().size(), 2 * longest});
  const int64_t sequences = static_cast<int64_t>(inputs.cu_seqlens_q.size()) - 1;
  context.threads().parallel_for(sequences * kv_heads, 1, [&](int64_t task, int64_t, int thread) {
    float* p = scratch.data<float>() + thread * 2 * longest;
    work.run(static_cast<size_t>(task / kv_heads), task % kv_heads, p, p + longest);
  });
  return out;
}

}  // namespace vl3::ops
