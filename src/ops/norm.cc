#include "ops/norm.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/convert.h"
#include "ops/cpu/kernels.h"
#include "ops/dispatch.h"
#include "ops/tape.h"

namespace vl3::ops {
namespace {

constexpr int64_t kRowsAtOnce = 8;
constexpr int64_t kRowsOfASum = 64;

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
    const int64_t rows = x.dim(0), width = x.dim(1), pieces = (rows + kRowsOfASum - 1) / kRowsOfASum;
    const Tensor wide = widened(context, weight);
    Tensor dx = context.empty(x.shape());
    // Sums over rows in pieces that do not depend on the threads, so that neither do the bits.
    const Tensor dws = context.empty({pieces, width}),
                 dbs = context.empty({bias.defined() ? pieces : 0, width});
    if (rows == 0) return;
    std::memset(dws.mutable_raw(), 0, dws.bytes());
    if (bias.defined()) std::memset(dbs.mutable_raw(), 0, dbs.bytes());
    context.threads().parallel_for(pieces, 1, [&](int64_t piece, int64_t, int) {
      for (int64_t t = piece * kRowsOfASum; t < std::min(rows, (piece + 1) * kRowsOfASum); ++t) {
        context.kernels().norm_backward(
            x.data<float>() + t * width, wide.data<float>(), dy.data<float>() + t * width, eps, centred,
            width, dx.mutable_data<float>() + t * width, dws.mutable_data<float>() + piece * width,
            bias.defined() ? dbs.mutable_data<float>() + piece * width : nullptr);
      }
    });
    tape.add_gradient(context, x, dx);
    add_pieces(context, tape, weight, dws);
    if (bias.defined()) add_pieces(context, tape, bias, dbs);
  }

  static void add_pieces(Context& context, Tape& tape, const Tensor& parameter, const Tensor& pieces) {
    if (!tape.needs_gradient(parameter)) return;
    const Tensor sum = tape.gradient_sum(context, parameter);
    for (int64_t i = 0; i < pieces.dim(0); ++i) {
      context.kernels().add(sum.data<float>(), pieces.data<float>() + i * pieces.dim(1), pieces.dim(1),
                            sum.mutable_data<float>());
    }
  }
};

}  // namespace

Tensor layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) {
  check(context, "layer_norm", x, weight);
  check(context, "layer_norm", x, bias);
  const int64_t width = x.dim(1);
  Tensor y = context.empty(x.shape());
  const Tensor w = widened(context, weight), b = widened(context, bias);
  context.threads().parallel_for(x.dim(0), kRowsAtOnce, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      context.kernels().layer_norm(x.data<float>() + t * width, w.data<float>(), b.data<float>(), eps, width,
                                   y.mutable_data<float>() + t * width);
    }
  });
  if (Tape* tape = tape_for(context, {&x, &weight, &bias}))
    tape->record(y, NormGradient{true, eps, x, weight, bias});
  return y;
}

Tensor rms_norm(Context& context, const Tensor& x, const Tensor& weight, float eps) {
  check(context, "rms_norm", x, weight);
  const int64_t width = x.dim(1);
  Tensor y = context.empty(x.shape());
  const Tensor w = widened(context, weight);
  context.threads().parallel_for(x.dim(0), kRowsAtOnce, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      context.kernels().rms_norm(x.data<float>() + t * width, w.data<float>(), eps, width,
                                 y.mutable_data<float>() + t * width);
    }
  });
  if (Tape* tape = tape_for(context, {&x, &weight})) tape->record(y, NormGradient{false, eps, x, weight, {}});
  return y;
}

}  // namespace vl3::ops
