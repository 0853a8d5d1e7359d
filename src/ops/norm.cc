#include "ops/norm.h"

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/convert.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {
namespace {

void check(const Context& context, const char* op, const Tensor& x, const Tensor& weight) {
  require(x.rank() == 2 && weight.rank() == 1 && weight.dim(0) == x.dim(1) && x.dim(1) > 0,
          ErrorCode::kInvalidArgument, "[{}] x {} and weight {} should be [T, D] and [D]", op,
          to_string(x.shape()), to_string(weight.shape()));
  check_devices(context, op, {{"x", x}, {"weight", weight}});
}

// Gradients of y = n · w (+ b), n = (x - mean) / deviation, where rms_norm has no mean.
struct NormGradient {
  bool centred;
  float eps;
  Tensor x, weight, bias;

  void operator()(Context& context, Tape& tape, const Tensor& dy) const {
    const Tensor wide = widened(context, weight);
    Tensor dx = context.empty(x.shape());
    if (x.dim(0) == 0) return;
    const auto sum = [&](const Tensor& parameter) {
      const bool wanted = parameter.defined() && tape.needs_gradient(parameter);
      return wanted ? tape.gradient_sum(context, parameter) : Tensor();
    };
    implementation(context, centred ? "layer_norm" : "rms_norm", cpu::norm_backward)(
        context, centred, eps, x, wide, dy, dx, sum(weight), sum(bias));
    tape.add_gradient(context, x, dx);
  }
};

}  // namespace

Tensor layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) {
  check(context, "layer_norm", x, weight);
  check(context, "layer_norm", x, bias);
  Tensor y = context.empty(x.shape());
  auto& norm = implementation(context, "layer_norm", cpu::layer_norm);
  norm(context, x, widened(context, weight), widened(context, bias), eps, y);
  if (Tape* tape = tape_for(context, {&x, &weight, &bias}))
    tape->record(y, NormGradient{true, eps, x, weight, bias});
  return y;
}

Tensor rms_norm(Context& context, const Tensor& x, const Tensor& weight, float eps) {
  check(context, "rms_norm", x, weight);
  Tensor y = context.empty(x.shape());
  auto& norm = implementation(context, "rms_norm", cpu::rms_norm);
  norm(context, x, widened(context, weight), eps, y);
  if (Tape* tape = tape_for(context, {&x, &weight})) tape->record(y, NormGradient{false, eps, x, weight, {}});
  return y;
}

}  // namespace vl3::ops
