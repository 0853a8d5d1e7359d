#include "ops/norm.h"

#include <cmath>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/matmul.h"
#include "ops/tape.h"

namespace vl3::ops {
namespace {

constexpr int64_t kRowsAtOnce = 8;

void check(const char* op, const Tensor& x, const Tensor& weight) {
  require(x.rank() == 2 && weight.rank() == 1 && weight.dim(0) == x.dim(1) && x.dim(1) > 0,
          ErrorCode::kInvalidArgument, "[{}] x {} and weight {} should be [T, D] and [D]", op,
          to_string(x.shape()), to_string(weight.shape()));
}

// Gradients of y = n · w (+ b), n = (x - mean) / deviation, where rms_norm has no mean.
struct NormGradient {
  bool centred;
  float eps;
  Tensor x, weight, bias;

  void operator()(Context& context, Tape& tape, const Tensor& dy) const {
    const int64_t rows = x.dim(0), width = x.dim(1);
    const Tensor wide = widened(context, weight);
    Tensor dx = context.empty(x.shape()), dw = Tensor::zeros({width}, DType::kF32),
           db = Tensor::zeros({width}, DType::kF32);
    for (int64_t t = 0; t < rows; ++t) {
      row(x.data<float>() + t * width, dy.data<float>() + t * width, wide.data<float>(), width,
          dx.data<float>() + t * width, dw.data<float>(), db.data<float>());
    }
    tape.add_gradient(x, dx);
    tape.add_gradient(weight, dw);
    if (bias.defined()) tape.add_gradient(bias, db);
  }

  void row(const float* v, const float* d, const float* w, int64_t width, float* dx, float* dw,
           float* db) const {
    double mean = 0, square = 0, sum_g = 0, sum_gn = 0;
    for (int64_t i = 0; centred && i < width; ++i) mean += v[i];
    mean /= static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i) square += (v[i] - mean) * (v[i] - mean);
    const double inverse = 1 / std::sqrt(square / static_cast<double>(width) + eps);
    for (int64_t i = 0; i < width; ++i) {
      const double n = (v[i] - mean) * inverse, g = static_cast<double>(d[i]) * w[i];
      sum_g += g;
      sum_gn += g * n;
      dw[i] += static_cast<float>(d[i] * n);
      db[i] += d[i];
    }
    const double mean_g = centred ? sum_g / static_cast<double>(width) : 0,
                 mean_gn = sum_gn / static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i) {
      const double n = (v[i] - mean) * inverse, g = static_cast<double>(d[i]) * w[i];
      dx[i] = static_cast<float>(inverse * (g - mean_g - n * mean_gn));
    }
  }
};

}  // namespace

Tensor layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) {
  check("layer_norm", x, weight);
  check("layer_norm", x, bias);
  const int64_t width = x.dim(1);
  Tensor y = context.empty(x.shape());
  const Tensor w = widened(context, weight), b = widened(context, bias);
  context.threads().parallel_for(x.dim(0), kRowsAtOnce, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      context.kernels().layer_norm(x.data<float>() + t * width, w.data<float>(), b.data<float>(), eps, width,
                                   y.data<float>() + t * width);
    }
  });
  if (Tape* tape = tape_for(context, {&x, &weight, &bias}))
    tape->record(y, NormGradient{true, eps, x, weight, bias});
  return y;
}

Tensor rms_norm(Context& context, const Tensor& x, const Tensor& weight, float eps) {
  check("rms_norm", x, weight);
  const int64_t width = x.dim(1);
  Tensor y = context.empty(x.shape());
  const Tensor w = widened(context, weight);
  context.threads().parallel_for(x.dim(0), kRowsAtOnce, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      context.kernels().rms_norm(x.data<float>() + t * width, w.data<float>(), eps, width,
                                 y.data<float>() + t * width);
    }
  });
  if (Tape* tape = tape_for(context, {&x, &weight})) tape->record(y, NormGradient{false, eps, x, weight, {}});
  return y;
}

}  // namespace vl3::ops
