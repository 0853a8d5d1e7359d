#include "ops/rope.h"

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {

Tensor rope(Context& context, const Tensor& x, const Tensor& cos, const Tensor& sin) {
  require(x.rank() == 3 && x.dim(2) % 2 == 0 && cos.shape() == Shape{x.dim(0), x.dim(2) / 2} &&
              sin.shape() == cos.shape(),
          ErrorCode::kInvalidArgument, "[rope] x {}, cos {}, sin {} should be [T, H, D], [T, D/2], [T, D/2]",
          to_string(x.shape()), to_string(cos.shape()), to_string(sin.shape()));
  check_devices(context, "rope", {{"x", x}, {"cos", cos}, {"sin", sin}});
  Tensor y = context.empty(x.shape());
  implementation(context, "rope", cpu::rope)(context, x, cos, sin, false, y);
  if (Tape* tape = tape_for(context, {&x})) {
    tape->record(y, [x = Variable(x), cos, sin](Context& c, Tape& t, const Tensor& dy) {
      Tensor dx = c.empty(x.shape());
      implementation(c, "rope", cpu::rope)(c, dy.reshape(x.shape()), cos, sin, true, dx);
      t.add_gradient(c, x, dx);
    });
  }
  return y;
}

}  // namespace vl3::ops
