#include "ops/bias_residual.h"

#include <algorithm>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {

void add_bias_residual(Context& context, const Tensor& x, const Tensor& bias, const Tensor& residual,
                       const Tensor& y) {
  const int64_t n = x.dim(1);
  const float *source = x.data<float>(), *b = bias.defined() ? bias.data<float>() : nullptr,
              *r = residual.defined() ? residual.data<float>() : nullptr;
  float* target = y.mutable_data<float>();
  const KernelSet& kernels = kernels_of(context);
  context.threads().parallel_for(x.dim(0), 8, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const float* row = source + t * n;
      float* out = target + t * n;
      if (b != nullptr)
        kernels.add(row, b, n, out);
      else
        std::copy_n(row, n, out);
      if (r != nullptr) kernels.add(out, r + t * n, n, out);
    }
  });
}

}  // namespace vl3::ops::cpu
