#include "ops/low_rank.h"

#include <cmath>

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/linear_backward.h"
#include "runtime/context_parts.h"

namespace vl3::ops {

void check_low_rank(const Context& context, int64_t k, int64_t n, const LowRank& layer) {
  check_devices(context, "low_rank", {{"A", layer.a}, {"B", layer.b}});
  const bool good = layer.a.rank() == 2 && layer.b.rank() == 2 && layer.a.dtype() == DType::kF32 &&
                    layer.b.dtype() == DType::kF32 && layer.a.dim(1) == k && layer.b.dim(0) == n &&
                    layer.a.dim(0) == layer.b.dim(1);
  require(good, ErrorCode::kInvalidArgument,
          "[low_rank] A {} {} and B {} {} should be f32, [r, {}] and [{}, r]", to_string(layer.a.dtype()),
          to_string(layer.a.shape()), to_string(layer.b.dtype()), to_string(layer.b.shape()), k, n);
}

Tensor dropped(Context& context, const Tensor& x, const Dropout& dropout, uint32_t stream) {
  check_devices(context, "dropped", {{"x", x}});
  if (std::lround(dropout.rate * 65536) == 0) return x;
  Tensor y = context.empty(x.shape());
  implementation(context, "dropped", cpu::dropped)(context, x, dropout, stream, y);
  return y;
}

Tensor low_rank(Context& context, const Tensor& x, const LowRank& layer, LowRankPass& pass) {
  require(x.rank() == 2 && layer.b.rank() == 2, ErrorCode::kInvalidArgument,
          "[low_rank] x {} and B {} should be [T, K] and [N, r]", to_string(x.shape()),
          to_string(layer.b.shape()));
  check_devices(context, "low_rank", {{"x", x}});
  check_low_rank(context, x.dim(1), layer.b.dim(0), layer);
  pass.dropout = tape_of(context) != nullptr && layer.dropout ? *layer.dropout : Dropout{};
  pass.t = context.empty({x.dim(0), layer.a.dim(0)});
  Tensor y = context.empty({x.dim(0), layer.b.dim(0)});
  auto& compute = implementation(context, "low_rank", cpu::low_rank_pass);
  compute(context, dropped(context, x, pass.dropout, layer.stream), layer, pass.t, y);
  return y;
}

void low_rank_backward(Context& context, Tape& tape, const Tensor& x, const LowRank& layer,
                       const LowRankPass& pass, const Tensor& dy) {
  if (tape.needs_gradient(layer.b))
    add_weight_gradient(context, dy, pass.t, layer.b, tape.gradient_sum(context, layer.b));
  if (!tape.needs_gradient(x) && !tape.needs_gradient(layer.a)) return;
  Tensor dt = input_gradient(context, dy, layer.b);  // [T, r]
  implementation(context, "low_rank", cpu::scale)(context, dt, layer.scale);
  if (tape.needs_gradient(layer.a)) {
    add_weight_gradient(context, dt, dropped(context, x, pass.dropout, layer.stream), layer.a,
                        tape.gradient_sum(context, layer.a));
  }
  if (tape.needs_gradient(x)) {
    const Tensor dx = input_gradient(context, dt, layer.a);
    tape.add_gradient(context, x, dropped(context, dx, pass.dropout, layer.stream));
  }
}

Tensor low_rank(Context& context, const Tensor& x, const LowRank& layer) {
  LowRankPass pass;
  const Tensor y = low_rank(context, x, layer, pass);
  if (Tape* tape = tape_for(context, {&x, &layer.a, &layer.b})) {
    tape->record(y, [x, layer, pass](Context& c, Tape& t, const Tensor& dy) {
      low_rank_backward(c, t, x, layer, pass, dy);
    });
  }
  return y;
}

}  // namespace vl3::ops
