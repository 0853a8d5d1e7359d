#include "ops/adamw.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/random.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

constexpr int64_t kPiece = 1 << 14;  // elements a thread takes at once

// Elements [begin, begin + n) of a weight of bf16, begin a multiple of 8: f32 values rounded at random. Eight
// elements share one draw of 128 bits.
void round_at_random(const float* values, int64_t n, int64_t begin, const AdamwUpdate& update,
                     uint16_t* target) {
  const auto seed = update.seed;
  for (int64_t i = 0; i < n; i += 8) {
    const auto block = static_cast<uint64_t>(begin + i) / 8;
    const PhiloxBlock draw = philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                                         update.stream, static_cast<uint32_t>(update.count)},
                                        {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
    for (int64_t j = i; j < std::min(i + 8, n); ++j) {
      const uint32_t random = draw[static_cast<size_t>(j - i) / 2] >> (j % 2 * 16) & 0xffff;
      target[j] = static_cast<uint16_t>((std::bit_cast<uint32_t>(values[j]) + random) >> 16);
    }
  }
}

AdamwStep step_of(const AdamwUpdate& u) {
  const double count = static_cast<double>(u.count);
  return {.beta1 = static_cast<float>(u.beta1),
          .beta2 = static_cast<float>(u.beta2),
          .eps = static_cast<float>(u.eps),
          .one_minus_beta1 = static_cast<float>(1 - u.beta1),
          .one_minus_beta2 = static_cast<float>(1 - u.beta2),
          .gradient_scale = static_cast<float>(u.gradient_scale),
          .decay_factor = static_cast<float>(1 - u.rate * u.weight_decay),
          .rate = static_cast<float>(u.rate / (1 - std::pow(u.beta1, count))),
          .rsqrt_correction = static_cast<float>(1 / std::sqrt(1 - std::pow(u.beta2, count)))};
}

}  // namespace

void adamw(Context& context, const Tensor& w, const Tensor& gradient, const Tensor& m, const Tensor& v,
           const AdamwUpdate& update) {
  const AdamwStep step = step_of(update);
  const KernelSet& kernels = kernels_of(context);
  const float* g = gradient.data<float>();
  float *first = m.mutable_data<float>(), *second = v.mutable_data<float>();
  float* f32 = w.dtype() == DType::kF32 ? w.mutable_data<float>() : nullptr;
  auto* bf16 = reinterpret_cast<uint16_t*>(w.mutable_raw());
  const auto in_bf16 = [&](int64_t begin, int64_t end) {  // by way of a few in f32
    constexpr int64_t kAtOnce = 1024;
    float values[kAtOnce];
    for (int64_t i = begin; i < end; i += kAtOnce) {
      const int64_t n = std::min(kAtOnce, end - i);
      kernels.widen(bf16 + i, WeightType::kBF16, n, values);
      kernels.adamw(values, g + i, first + i, second + i, n, step);
      round_at_random(values, n, i, update, bf16 + i);
    }
  };
  const int64_t size = w.numel(), pieces = (size + kPiece - 1) / kPiece;
  context.threads().parallel_for(pieces, 1, [&](int64_t from, int64_t to, int) {
    const int64_t begin = from * kPiece, end = std::min(to * kPiece, size);
    if (f32 != nullptr)
      kernels.adamw(f32 + begin, g + begin, first + begin, second + begin, end - begin, step);
    else
      in_bf16(begin, end);
  });
}

}  // namespace vl3::ops::cpu
