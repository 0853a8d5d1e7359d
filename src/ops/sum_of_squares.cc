#include "ops/sum_of_squares.h"

#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {

double sum_of_squares(Context& context, const Tensor& x) {
  require(x.dtype() == DType::kF32, ErrorCode::kInvalidArgument, "[sum_of_squares] {} {} should be f32",
          to_string(x.dtype()), to_string(x.shape()));
  check_devices(context, "sum_of_squares", {{"x", x}});
  return implementation(context, "sum_of_squares", cpu::sum_of_squares)(context, x);
}

}  // namespace vl3::ops
