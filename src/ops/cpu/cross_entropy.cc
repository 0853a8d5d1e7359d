#include "ops/cross_entropy.h"

#include <cmath>
#include <limits>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {

void cross_entropy(Context& context, const Tensor& logits, std::span<const int64_t> targets, float share,
                   std::span<double> losses) {
  const int64_t width = logits.dim(1);
  float* all = logits.mutable_data<float>();
  context.threads().parallel_for(logits.dim(0), 1, [&](int64_t r, int64_t, int) {
    float* row = all + r * width;
    const double chosen = row[targets[static_cast<size_t>(r)]];
    float maximum = -std::numeric_limits<float>::infinity(), sum = 0;
    kernels_of(context).softmax_step(row, width, 1.0f, &maximum, &sum);
    losses[static_cast<size_t>(r)] = std::log(static_cast<double>(sum)) + maximum - chosen;
    if (share == 0) return;
    kernels_of(context).scale(row, width, share / sum);
    row[targets[static_cast<size_t>(r)]] -= share;
  });
}

}  // namespace vl3::ops::cpu
