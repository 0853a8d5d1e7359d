#include "ops/adamw.h"

#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {

void adamw(Context& context, const Tensor& w, const Tensor& gradient, const Tensor& m, const Tensor& v,
           const AdamwUpdate& update) {
  require(w.dtype() == DType::kF32 || w.dtype() == DType::kBF16, ErrorCode::kInvalidArgument,
          "[adamw] the weight is {}; it should be f32 or bf16", to_string(w.dtype()));
  for (const auto& [name, tensor] : {Argument{"gradient", gradient}, Argument{"m", m}, Argument{"v", v}}) {
    require(tensor.dtype() == DType::kF32 && tensor.numel() == w.numel(), ErrorCode::kInvalidArgument,
            "[adamw] {} is {} {}; the weight {} wants f32 of as many elements", name,
            to_string(tensor.dtype()), to_string(tensor.shape()), to_string(w.shape()));
  }
  require(update.count >= 1, ErrorCode::kInvalidArgument, "[adamw] step {} should be at least 1",
          update.count);
  check_devices(context, "adamw", {{"weight", w}, {"gradient", gradient}, {"m", m}, {"v", v}});
  implementation(context, "adamw", cpu::adamw)(context, w, gradient, m, v, update);
}

}  // namespace vl3::ops
