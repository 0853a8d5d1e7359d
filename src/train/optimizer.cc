#include "train/optimizer.h"

#include <cmath>

#include "base/thread_pool.h"
#include "ops/cpu/kernels.h"

namespace vl3 {
namespace {

constexpr int64_t kPiece = 1 << 14;  // elements a thread takes at once

double sum_of_squares(Context& context, const Tensor& x) {
  const int64_t pieces = (x.numel() + kPiece - 1) / kPiece;
  std::vector<double> sums(static_cast<size_t>(pieces));
  context.threads().parallel_for(pieces, 1, [&](int64_t piece, int64_t, int) {
    double lanes[8] = {};
    const float* p = x.data<float>() + piece * kPiece;
    const int64_t n = std::min(kPiece, x.numel() - piece * kPiece);
    for (int64_t i = 0; i < n; ++i) lanes[i % 8] += static_cast<double>(p[i]) * p[i];
    for (const double lane : lanes) sums[static_cast<size_t>(piece)] += lane;
  });
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

}  // namespace

double gradient_norm(Context& context, const Tape& tape, const std::vector<TrainedTensor>& tensors) {
  double sum = 0;
  for (const TrainedTensor& t : tensors) {
    const Tensor gradient = tape.gradient(t.value);
    if (gradient.defined()) sum += sum_of_squares(context, gradient);
  }
  return std::sqrt(sum);
}

void adamw_step(Context& context, const Tape& tape, std::vector<TrainedTensor>& tensors,
                const std::array<double, 3>& rates, double gradient_scale, const AdamwSettings& settings) {
  for (TrainedTensor& t : tensors) {
    const Tensor gradient = tape.gradient(t.value);
    if (!gradient.defined()) continue;
    const double rate = rates[static_cast<size_t>(t.part)], count = static_cast<double>(++t.steps);
    const AdamwStep step = {
        .beta1 = static_cast<float>(settings.betas[0]),
        .beta2 = static_cast<float>(settings.betas[1]),
        .eps = static_cast<float>(settings.eps),
        .gain1 = static_cast<float>(1 - settings.betas[0]),
        .gain2 = static_cast<float>(1 - settings.betas[1]),
        .gradient_scale = static_cast<float>(gradient_scale),
        .keep = static_cast<float>(1 - (t.decays() ? rate * settings.weight_decay : 0)),
        .rate = static_cast<float>(rate / (1 - std::pow(settings.betas[0], count))),
        .inverse_root = static_cast<float>(1 / std::sqrt(1 - std::pow(settings.betas[1], count)))};
    context.threads().parallel_for(t.master.numel(), kPiece, [&](int64_t begin, int64_t end, int) {
      context.kernels().adamw(t.master.data<float>() + begin, gradient.data<float>() + begin,
                              t.m.data<float>() + begin, t.v.data<float>() + begin, end - begin, step);
    });
  }
}

}  // namespace vl3
