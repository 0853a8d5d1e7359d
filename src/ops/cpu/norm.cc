#include "ops/norm.h"

#include <algorithm>
#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

constexpr int64_t kRowsAtOnce = 8;
constexpr int64_t kRowsOfASum = 64;

Tensor zeros(Context& context, Shape shape) {
  Tensor result = context.empty(std::move(shape));
  if (result.numel() > 0) std::memset(result.mutable_raw(), 0, result.bytes());
  return result;
}

// sum [D] += rows of pieces, in order
void add_pieces(const KernelSet& kernels, const Tensor& pieces, const Tensor& sum) {
  if (!sum.defined()) return;
  float* target = sum.mutable_data<float>();
  for (int64_t i = 0; i < pieces.dim(0); ++i)
    kernels.add(target, pieces.data<float>() + i * pieces.dim(1), pieces.dim(1), target);
}

}  // namespace

void layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias, float eps,
                const Tensor& y) {
  const int64_t width = x.dim(1);
  const float *source = x.data<float>(), *w = weight.data<float>(), *b = bias.data<float>();
  float* target = y.mutable_data<float>();
  context.threads().parallel_for(x.dim(0), kRowsAtOnce, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t)
      kernels_of(context).layer_norm(source + t * width, w, b, eps, width, target + t * width);
  });
}

void rms_norm(Context& context, const Tensor& x, const Tensor& weight, float eps, const Tensor& y) {
  const int64_t width = x.dim(1);
  const float *source = x.data<float>(), *w = weight.data<float>();
  float* target = y.mutable_data<float>();
  context.threads().parallel_for(x.dim(0), kRowsAtOnce, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t)
      kernels_of(context).rms_norm(source + t * width, w, eps, width, target + t * width);
  });
}

void norm_backward(Context& context, bool centred, float eps, const Tensor& x, const Tensor& weight,
                   const Tensor& dy, const Tensor& dx, const Tensor& dweight, const Tensor& dbias) {
  const int64_t rows = x.dim(0), width = x.dim(1), pieces = (rows + kRowsOfASum - 1) / kRowsOfASum;
  // Sums over rows in pieces that do not depend on the threads, so that neither do the bits.
  const Tensor dws = zeros(context, {pieces, width}), dbs = zeros(context, {centred ? pieces : 0, width});
  const float *source = x.data<float>(), *w = weight.data<float>(), *gradient = dy.data<float>();
  float *target = dx.mutable_data<float>(), *dw = dws.mutable_data<float>(),
        *db = centred ? dbs.mutable_data<float>() : nullptr;
  context.threads().parallel_for(pieces, 1, [&](int64_t piece, int64_t, int) {
    for (int64_t t = piece * kRowsOfASum; t < std::min(rows, (piece + 1) * kRowsOfASum); ++t) {
      kernels_of(context).norm_backward(source + t * width, w, gradient + t * width, eps, centred, width,
                                        target + t * width, dw + piece * width,
                                        db == nullptr ? nullptr : db + piece * width);
    }
  });
  add_pieces(kernels_of(context), dws, dweight);
  add_pieces(kernels_of(context), dbs, dbias);
}

}  // namespace vl3::ops::cpu
