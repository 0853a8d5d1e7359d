#include "ops/bias_residual.h"

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/convert.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/linear_backward.h"
#include "runtime/context_parts.h"

namespace vl3::ops {

Tensor add_bias_residual(Context& context, const Tensor& x, const Tensor& bias, const Tensor& residual) {
  require(x.rank() == 2 && x.dtype() == DType::kF32, ErrorCode::kInvalidArgument,
          "[add_bias_residual] x {} {} should be f32 [T, N]", to_string(x.dtype()), to_string(x.shape()));
  require(!bias.defined() || bias.shape() == Shape{x.dim(1)}, ErrorCode::kInvalidArgument,
          "[add_bias_residual] bias {} for x {}", to_string(bias.shape()), to_string(x.shape()));
  require(!residual.defined() || (residual.dtype() == DType::kF32 && residual.shape() == x.shape()),
          ErrorCode::kInvalidArgument, "[add_bias_residual] residual {} {} for x {}",
          to_string(residual.dtype()), to_string(residual.shape()), to_string(x.shape()));
  check_devices(context, "add_bias_residual", {{"x", x}, {"bias", bias}, {"residual", residual}});
  Tensor y = context.empty(x.shape());
  implementation(context, "add_bias_residual", cpu::add_bias_residual)(context, x, widened(context, bias),
                                                                       residual, y);
  if (Tape* tape = tape_for(context, {&x, &bias, &residual})) {
    tape->record(
        y, [x = Variable(x), bias, residual = Variable(residual)](Context& c, Tape& t, const Tensor& dy) {
          t.add_gradient(c, x, dy);
          if (bias.defined() && t.needs_gradient(bias)) t.add_gradient(c, bias, column_sums(c, dy));
          t.add_gradient(c, residual, dy);
        });
  }
  return y;
}

Tensor row_parallel_linear(Context& context, const Tensor& x, const LinearOperand& layer,
                           const Tensor& residual) {
  if (!context.all_reduce())
    return linear(context, x, layer, {Activation::kNone, residual.defined() ? &residual : nullptr});
  require(tape_of(context) == nullptr, ErrorCode::kUnsupported,
          "[row_parallel_linear] a tape cannot record a sum over ranks");
  const Tensor none;
  const Tensor sum =
      linear(context, x, LinearOperand{layer.weight, none, layer.low_rank, layer.low_rank_rows, layer.runs});
  context.all_reduce()(context, sum);
  return add_bias_residual(context, sum, layer.bias, residual);
}

}  // namespace vl3::ops
