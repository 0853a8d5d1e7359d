#include "ops/rope.h"

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/cpu/kernels.h"
#include "ops/dispatch.h"
#include "ops/tape.h"

namespace vl3::ops {
namespace {

void rotate(Context& context, const Tensor& x, const float* cos, const float* sin, float* y) {
  const int64_t heads = x.dim(1), width = x.dim(2), half = width / 2;
  context.threads().parallel_for(x.dim(0), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t at = (t * heads + h) * width;
        context.kernels().rope(x.data<float>() + at, cos + t * half, sin + t * half, half, y + at);
      }
    }
  });
}

}  // namespace

Tensor rope(Context& context, const Tensor& x, const Tensor& cos, const Tensor& sin) {
  require(x.rank() == 3 && x.dim(2) % 2 == 0 && cos.shape() == Shape{x.dim(0), x.dim(2) / 2} &&
              sin.shape() == cos.shape(),
          ErrorCode::kInvalidArgument, "[rope] x {}, cos {}, sin {} should be [T, H, D], [T, D/2], [T, D/2]",
          to_string(x.shape()), to_string(cos.shape()), to_string(sin.shape()));
  check_devices(context, "rope", {{"x", x}, {"cos", cos}, {"sin", sin}});
  Tensor y = context.empty(x.shape());
  rotate(context, x, cos.data<float>(), sin.data<float>(), y.mutable_data<float>());
  if (Tape* tape = tape_for(context, {&x})) {
    tape->record(y, [x = Variable(x), cos, sin](Context& c, Tape& t,
                                                const Tensor& dy) {  // back by the opposite angle
      Tensor opposite = c.empty(sin.shape()), dx = c.empty(x.shape());
      for (int64_t i = 0; i < sin.numel(); ++i) opposite.mutable_data<float>()[i] = -sin.data<float>()[i];
      rotate(c, dy.reshape(x.shape()), cos.data<float>(), opposite.data<float>(), dx.mutable_data<float>());
      t.add_gradient(c, x, dx);
    });
  }
  return y;
}

}  // namespace vl3::ops
