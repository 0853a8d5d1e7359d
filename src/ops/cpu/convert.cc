#include "ops/convert.h"

#include <algorithm>
#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels/kernels.h"
#include "ops/cpu/matmul.h"
#include "runtime/context_parts.h"
#include "tensor/quantized.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

constexpr int64_t kGrain = 1 << 16;  // elements a thread takes at once

uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const bool nan = (bits & 0x7fffffff) > 0x7f800000;
  return static_cast<uint16_t>(nan ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

void widen(Context& context, const Tensor& tensor, const Tensor& target) {
  float* const out = target.mutable_data<float>();
  if (is_quantized(tensor.dtype())) {
    const int64_t k = tensor.numel() / std::max<int64_t>(tensor.dim(0), 1);
    context.threads().parallel_for(tensor.dim(0), 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t n = begin; n < end; ++n) dequantize_row(tensor, n, out + n * k);
    });
    return;
  }
  const std::byte* source = tensor.raw();
  const int64_t size = static_cast<int64_t>(size_of(tensor.dtype()));
  context.threads().parallel_for(tensor.numel(), kGrain, [&](int64_t begin, int64_t end, int) {
    kernels_of(context).widen(source + begin * size, weight_type(tensor), end - begin, out + begin);
  });
}

void narrow(Context& context, const Tensor& x, const Tensor& target) {
  const float* source = x.data<float>();
  auto* const out = reinterpret_cast<uint16_t*>(target.mutable_raw());
  context.threads().parallel_for(x.numel(), kGrain, [&](int64_t begin, int64_t end, int) {
    if (target.dtype() == DType::kF16)
      kernels_of(context).narrow_f16(source + begin, end - begin, out + begin);
    else
      std::transform(source + begin, source + end, out + begin, to_bf16);
  });
}

}  // namespace vl3::ops::cpu
