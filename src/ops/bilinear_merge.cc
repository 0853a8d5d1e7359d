#include "ops/bilinear_merge.h"

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {

Tensor bilinear_merge(Context& context, const Tensor& x, int64_t merge) {
  require(merge >= 1 && merge <= 1 << 15 && x.rank() == 2 && x.dim(0) % (merge * merge) == 0,
          ErrorCode::kInvalidArgument, "[bilinear_merge] {} patches cannot be merged by {} x {}", x.dim(0),
          merge, merge);
  check_devices(context, "bilinear_merge", {{"x", x}});
  if (merge == 1) return x;
  Tensor y = context.empty({x.dim(0) / (merge * merge), x.dim(1)});
  implementation(context, "bilinear_merge", cpu::bilinear_merge)(context, x, merge, y);
  if (Tape* tape = tape_for(context, {&x})) {
    tape->record(y, [merge, x = Variable(x)](Context& c, Tape& t, const Tensor& dy) {
      Tensor dx = c.empty(x.shape());
      implementation(c, "bilinear_merge", cpu::bilinear_merge_backward)(c, dy, merge, dx);
      t.add_gradient(c, x, dx);
    });
  }
  return y;
}

}  // namespace vl3::ops
