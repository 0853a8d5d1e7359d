#include "ops/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/tape.h"

namespace vl3::ops {
namespace {

constexpr int64_t kIgnored = -100;

// log Σ exp of a row, in double.
double log_sum_exp(const float* row, int64_t n) {
  const double largest = *std::max_element(row, row + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(row[i] - largest);
  return largest + std::log(sum);
}

}  // namespace

Tensor cross_entropy(Context& context, const Tensor& logits, std::span<const int64_t> targets) {
  require(logits.rank() == 2 && logits.dim(0) == static_cast<int64_t>(targets.size()),
          ErrorCode::kInvalidArgument, "[cross_entropy] logits {} for {} targets", to_string(logits.shape()),
          targets.size());
  const int64_t width = logits.dim(1);
  int64_t count = 0;
  for (const int64_t target : targets) {
    require(target == kIgnored || (target >= 0 && target < width), ErrorCode::kInvalidArgument,
            "[cross_entropy] target {} is outside [0, {})", target, width);
    count += target != kIgnored;
  }
  std::vector<double> losses(targets.size(), 0.0);
  context.threads().parallel_for(logits.dim(0), 1, [&](int64_t t, int64_t, int) {
    const size_t i = static_cast<size_t>(t);
    const float* row = logits.data<float>() + t * width;
    if (targets[i] != kIgnored) losses[i] = log_sum_exp(row, width) - row[targets[i]];
  });
  double sum = 0;
  for (const double loss : losses) sum += loss;
  Tensor y = context.empty({1});
  y.data<float>()[0] = count > 0 ? static_cast<float>(sum / static_cast<double>(count))
                                 : std::numeric_limits<float>::quiet_NaN();
  if (Tape* tape = tape_for(context, {&logits})) {
    tape->record(y, [=, kept = std::vector<int64_t>(targets.begin(), targets.end())](Context& c, Tape& t,
                                                                                     const Tensor& dy) {
      Tensor gradient = Tensor::zeros(logits.shape(), DType::kF32);
      const double share = dy.data<float>()[0] / static_cast<double>(count);
      c.threads().parallel_for(logits.dim(0), 1, [&](int64_t r, int64_t, int) {
        const int64_t target = kept[static_cast<size_t>(r)];
        if (target == kIgnored) return;
        const float* row = logits.data<float>() + r * width;
        float* out = gradient.data<float>() + r * width;
        const double norm = log_sum_exp(row, width);
        for (int64_t i = 0; i < width; ++i) out[i] = static_cast<float>(share * std::exp(row[i] - norm));
        out[target] -= static_cast<float>(share);
      });
      t.add_gradient(logits, gradient);
    });
  }
  return y;
}

}  // namespace vl3::ops
