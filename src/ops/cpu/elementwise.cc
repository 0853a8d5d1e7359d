#include "ops/cpu/elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a thread takes at once

// f(begin, end) over ranges of [0, n), by all threads.
template <class F>
void in_ranges(Context& context, int64_t n, F&& f) {
  context.threads().parallel_for(n, kGrain, [&](int64_t begin, int64_t end, int) { f(begin, end); });
}

// dx = dy · f'(x) over n elements.
void piece_backward(const KernelSet& kernels, const float* x, const float* dy, int64_t n, Activation kind,
                    float* dx) {
  switch (kind) {
    case Activation::kNone:
      std::copy_n(dy, n, dx);
      return;
    case Activation::kGeluTanh:
      return kernels.activate_backward(x, dy, n, Elementwise::kGeluTanh, dx);
    case Activation::kSilu:
      return kernels.activate_backward(x, dy, n, Elementwise::kSilu, dx);
    case Activation::kGelu:
      for (int64_t i = 0; i < n; ++i) {
        const double v = x[i], density = std::exp(-0.5 * v * v) * 0.3989422804014327;
        dx[i] = static_cast<float>(dy[i] * (0.5 * (1 + std::erf(v * 0.7071067811865476)) + v * density));
      }
  }
}

}  // namespace

void activate(const KernelSet& kernels, float* x, int64_t n, Activation kind) {
  switch (kind) {
    case Activation::kNone:
      return;
    case Activation::kGeluTanh:
      return kernels.activate(x, n, Elementwise::kGeluTanh);
    case Activation::kSilu:
      return kernels.activate(x, n, Elementwise::kSilu);
    case Activation::kGelu:  // only the projector's, where erf is a thousandth of the work
      for (int64_t i = 0; i < n; ++i) x[i] = 0.5f * x[i] * (1.0f + std::erf(x[i] * 0.70710678118654752f));
  }
}

void activation(Context& context, const Tensor& x, Activation kind, const Tensor& y) {
  const float* source = x.data<float>();
  float* target = y.mutable_data<float>();
  in_ranges(context, x.numel(), [&](int64_t begin, int64_t end) {
    std::copy(source + begin, source + end, target + begin);
    activate(kernels_of(context), target + begin, end - begin, kind);
  });
}

void activation_backward(Context& context, const Tensor& x, const Tensor& dy, Activation kind,
                         const Tensor& dx) {
  const float *source = x.data<float>(), *gradient = dy.data<float>();
  float* target = dx.mutable_data<float>();
  in_ranges(context, x.numel(), [&](int64_t begin, int64_t end) {
    piece_backward(kernels_of(context), source + begin, gradient + begin, end - begin, kind, target + begin);
  });
}

void swiglu(Context& context, const Tensor& gate, const Tensor& up, const Tensor& y) {
  const float *g = gate.data<float>(), *u = up.data<float>();
  float* target = y.mutable_data<float>();
  in_ranges(context, gate.numel(), [&](int64_t begin, int64_t end) {
    kernels_of(context).swiglu(g + begin, u + begin, end - begin, target + begin);
  });
}

void swiglu_backward(Context& context, const Tensor& gate, const Tensor& up, const Tensor& dy,
                     const Tensor& dgate, const Tensor& dup) {
  const float *g = gate.data<float>(), *u = up.data<float>(), *d = dy.data<float>();
  float *dg = dgate.mutable_data<float>(), *du = dup.mutable_data<float>();
  in_ranges(context, gate.numel(), [&](int64_t begin, int64_t end) {
    kernels_of(context).swiglu_backward(g + begin, u + begin, d + begin, end - begin, dg + begin, du + begin);
  });
}

void add(Context& context, const Tensor& a, const Tensor& b, const Tensor& y) {
  const float *p = a.data<float>(), *q = b.data<float>();
  float* target = y.mutable_data<float>();
  in_ranges(context, a.numel(), [&](int64_t begin, int64_t end) {
    kernels_of(context).add(p + begin, q + begin, end - begin, target + begin);
  });
}

void scale(Context& context, const Tensor& x, float factor) {
  float* values = x.mutable_data<float>();
  in_ranges(context, x.numel(), [&](int64_t begin, int64_t end) {
    kernels_of(context).scale(values + begin, end - begin, factor);
  });
}

void zero(Context&, const Tensor& x) {
  if (x.numel() > 0) std::memset(x.mutable_raw(), 0, x.bytes());
}

}  // namespace vl3::ops::cpu
