#include "ops/convert.h"

#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {
namespace {

Tensor empty_to_keep(const Context& context, const Tensor& like, DType dtype) {
  if (context.device().is_host()) return Tensor::empty(like.shape(), dtype);
  const size_t bytes = static_cast<size_t>(bytes_of(dtype, like.shape()));
  return {context.backend().allocate(bytes), 0, like.shape(), dtype};
}

}  // namespace

Tensor widened(Context& context, const Tensor& tensor) {
  if (!tensor.defined() || tensor.dtype() == DType::kF32) return tensor;
  Tensor result = context.empty(tensor.shape());
  widen_into(context, tensor, result);
  return result;
}

void widen_into(Context& context, const Tensor& tensor, const Tensor& target) {
  const DType type = tensor.dtype();
  require(type == DType::kF32 || type == DType::kBF16 || type == DType::kF16 || is_quantized(type),
          ErrorCode::kInvalidArgument, "[widen] {} {}: f32, bf16, f16, int8 and int4 can be widened",
          to_string(type), to_string(tensor.shape()));
  require(target.dtype() == DType::kF32 && target.numel() == tensor.numel(), ErrorCode::kInvalidArgument,
          "[widen] {} into {} {}, which should be f32", to_string(tensor.shape()), to_string(target.dtype()),
          to_string(target.shape()));
  check_devices(context, "widen", {{"tensor", tensor}, {"target", target}});
  implementation(context, "widen", cpu::widen)(context, tensor, target);
}

Tensor narrowed(Context& context, const Tensor& x, DType dtype) {
  if (dtype == DType::kF32) return x;
  require(dtype == DType::kBF16 || dtype == DType::kF16, ErrorCode::kInvalidArgument,
          "[narrow] to {}: f32, bf16 and f16 can be made", to_string(dtype));
  const Tensor result = empty_to_keep(context, x, dtype);
  narrow_into(context, x, result);
  return result;
}

void narrow_into(Context& context, const Tensor& x, const Tensor& target) {
  const DType type = target.dtype();
  require(type == DType::kBF16 || type == DType::kF16, ErrorCode::kInvalidArgument,
          "[narrow] to {}: f32, bf16 and f16 can be made", to_string(type));
  require(x.dtype() == DType::kF32 && x.numel() == target.numel(), ErrorCode::kInvalidArgument,
          "[narrow] {} {} into {}: they should be f32 and as many elements", to_string(x.dtype()),
          to_string(x.shape()), to_string(target.shape()));
  check_devices(context, "narrow", {{"x", x}, {"target", target}});
  implementation(context, "narrow", cpu::narrow)(context, x, target);
}

}  // namespace vl3::ops
