#include "ops/rope.h"

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {

void rope(Context& context, const Tensor& x, const Tensor& cos, const Tensor& sin, bool opposite,
          const Tensor& y) {
  const int64_t heads = x.dim(1), width = x.dim(2), half = width / 2;
  const float *source = x.data<float>(), *c = cos.data<float>(), *s = sin.data<float>();
  float* target = y.mutable_data<float>();
  const Tensor negative = opposite ? context.empty(sin.shape()) : Tensor();
  if (opposite) {
    float* n = negative.mutable_data<float>();
    for (int64_t i = 0; i < sin.numel(); ++i) n[i] = -s[i];
    s = n;
  }
  context.threads().parallel_for(x.dim(0), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t at = (t * heads + h) * width;
        kernels_of(context).rope(source + at, c + t * half, s + t * half, half, target + at);
      }
    }
  });
}

}  // namespace vl3::ops::cpu
