#include "train/optimizer.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/random.h"
#include "base/thread_pool.h"
#include "model/adapters.h"
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

// Elements [begin, begin + n) of a master of bf16, begin a multiple of 8: f32 values rounded at random. Eight
// elements share one draw of 128 bits.
void round_at_random(const float* values, int64_t n, int64_t begin, uint32_t stream, uint64_t seed,
                     uint32_t count, uint16_t* target) {
  for (int64_t i = 0; i < n; i += 8) {
    const auto block = static_cast<uint64_t>(begin + i) / 8;
    const PhiloxBlock draw =
        philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), stream, count},
                   {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
    for (int64_t j = i; j < std::min(i + 8, n); ++j) {
      const uint32_t random = draw[static_cast<size_t>(j - i) / 2] >> (j % 2 * 16) & 0xffff;
      target[j] = static_cast<uint16_t>((std::bit_cast<uint32_t>(values[j]) + random) >> 16);
    }
  }
}

// AdamW on elements [begin, end) of a master of bf16, by way of a few in f32.
void step_bf16(const KernelSet& kernels, const TrainedTensor& t, const float* gradient, int64_t begin,
               int64_t end, const AdamwStep& step, uint64_t seed) {
  const uint32_t stream = dropout_stream(t.name);
  constexpr int64_t kAtOnce = 1024;
  float values[kAtOnce];
  auto* master = reinterpret_cast<uint16_t*>(t.master.mutable_raw());
  for (int64_t i = begin; i < end; i += kAtOnce) {
    const int64_t n = std::min(kAtOnce, end - i);
    kernels.widen(master + i, WeightType::kBF16, n, values);
    kernels.adamw(values, gradient + i, t.m.mutable_data<float>() + i, t.v.mutable_data<float>() + i, n,
                  step);
    round_at_random(values, n, i, stream, seed, static_cast<uint32_t>(t.steps), master + i);
  }
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
    const int64_t size = t.master.numel(), pieces = (size + kPiece - 1) / kPiece;
    context.threads().parallel_for(pieces, 1, [&](int64_t first, int64_t last, int) {
      const int64_t begin = first * kPiece, end = std::min(last * kPiece, size);
      if (t.master.dtype() == DType::kBF16) {
        step_bf16(context.kernels(), t, gradient.data<float>(), begin, end, step, settings.seed);
      } else {
        context.kernels().adamw(t.master.mutable_data<float>() + begin, gradient.data<float>() + begin,
                                t.m.mutable_data<float>() + begin, t.v.data<float>() + begin, end - begin,
                                step);
      }
    });
  }
}

}  // namespace vl3
