#include "ops/narrow.h"

#include <cstring>

#include "base/check.h"
#include "ops/cpu/kernels.h"

namespace vl3::ops {

Tensor narrowed(Context& context, const Tensor& x, DType dtype) {
  if (dtype == DType::kF32) return x;
  require(dtype == DType::kBF16 || dtype == DType::kF16, ErrorCode::kInvalidArgument,
          "[narrow] to {}: f32, bf16 and f16 can be made", to_string(dtype));
  Tensor result = Tensor::empty(x.shape(), dtype);
  auto* target = reinterpret_cast<uint16_t*>(result.mutable_raw());
  if (dtype == DType::kF16) {
    context.kernels().narrow_f16(x.data<float>(), x.numel(), target);
    return result;
  }
  for (int64_t i = 0; i < x.numel(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, x.data<float>() + i, sizeof bits);
    const bool nan = (bits & 0x7fffffff) > 0x7f800000;
    target[i] = static_cast<uint16_t>(nan ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  return result;
}

}  // namespace vl3::ops
