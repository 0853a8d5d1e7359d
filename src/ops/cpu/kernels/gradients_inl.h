#pragma once
// Kernels of the backward pass and of the optimizer, written once like those of kernels_inl.h.

#include "ops/cpu/kernels/kernels_inl.h"

namespace {

// f(vectors…) of every pointer in turn, written to y; tails go through vectors of their own.
template <class F, class... P>
inline void map_to(float* y, int64_t n, F&& f, const P*... p) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, f(load(p + i)...));
  if (i < n) store_tail(y + i, f(Tail(p + i, n - i).vector()...), n - i);
}

// Σ f(vectors…), whose value for zeros must be zero.
template <class F, class... P>
inline float sum_over(int64_t n, F&& f, const P*... p) {
  F32 sum = {};
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) sum += f(load(p + i)...);
  if (i < n) sum += f(Tail(p + i, n - i).vector()...);
  return reduce_add(sum);
}

inline F32 silu_slope(F32 v) {
  const F32 s = sigmoid(v);
  return s * (1.0f + v * (1.0f - s));
}

void activate_backward(const float* x, const float* dy, int64_t n, Elementwise kind, float* dx) {
  if (kind == Elementwise::kSilu)
    return map_to(
        dx, n, [](F32 v, F32 d) { return d * silu_slope(v); }, x, dy);
  const auto gelu = [](F32 v, F32 d) {
    constexpr float kTwiceRoot = 1.5957691216057308f;
    const F32 square = v * v;
    const F32 s = sigmoid(kTwiceRoot * fma(0.044715f * v, square, v));
    return d * (s + v * s * (1.0f - s) * (kTwiceRoot * (1.0f + 0.134145f * square)));
  };
  map_to(dx, n, gelu, x, dy);
}

void swiglu_backward(const float* gate, const float* up, const float* dy, int64_t n, float* dgate,
                     float* dup) {
  map_to(
      dup, n, [](F32 g, F32 d) { return d * g * sigmoid(g); }, gate, dy);
  map_to(
      dgate, n, [](F32 g, F32 u, F32 d) { return d * u * silu_slope(g); }, gate, up, dy);
}

void add_scaled(const float* x, float factor, int64_t n, float* y) {
  map_to(
      y, n, [=](F32 a, F32 b) { return fma(set1(factor), a, b); }, x, y);
}

void softmax_backward(const float* p, float* dp, int64_t n, float delta, float factor) {
  map_to(
      dp, n, [=](F32 a, F32 d) { return a * (d - delta) * factor; }, p, dp);
}

void norm_backward(const float* x, const float* weight, const float* dy, float eps, bool centred, int64_t n,
                   float* dx, float* dw, float* db) {
  const float count = static_cast<float>(n);
  const float mean = centred ? sum_over(
                                   n, [](F32 v) { return v; }, x) /
                                   count
                             : 0.0f;
  F32 squares = {};
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) squares += (load(x + i) - mean) * (load(x + i) - mean);
  float square = reduce_add(squares);
  for (; i < n; ++i) square += (x[i] - mean) * (x[i] - mean);
  const float inverse = 1.0f / __builtin_sqrtf(square / count + eps);
  const auto normal = [=](F32 v) { return (v - mean) * inverse; };
  const float sum_g = centred ? sum_over(
                                    n, [](F32 d, F32 w) { return d * w; }, dy, weight)
                              : 0.0f;
  const float sum_gn = sum_over(
      n, [=](F32 v, F32 d, F32 w) { return d * w * normal(v); }, x, dy, weight);
  map_to(
      dw, n, [=](F32 sum, F32 v, F32 d) { return fma(d, normal(v), sum); }, dw, x, dy);
  if (db != nullptr)
    map_to(
        db, n, [](F32 sum, F32 d) { return sum + d; }, db, dy);
  const float mean_g = sum_g / count, mean_gn = sum_gn / count;
  map_to(
      dx, n, [=](F32 v, F32 d, F32 w) { return inverse * (d * w - mean_g - normal(v) * mean_gn); }, x, dy,
      weight);
}

inline F32 square_root(F32 x) {
#if defined(__AVX512F__) && VL3_SIMD_BYTES == 64
  return reinterpret_cast<F32>(_mm512_sqrt_ps(reinterpret_cast<__m512>(x)));
#else
  for (int i = 0; i < kWidth; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

void adamw(float* weight, const float* gradient, float* m, float* v, int64_t n, const vl3::AdamwStep& step) {
  const auto first = [&](F32 g, F32 old) {
    return fma(set1(step.beta1), old, step.one_minus_beta1 * (g * step.gradient_scale));
  };
  const auto second = [&](F32 g, F32 old) {
    const F32 scaled = g * step.gradient_scale;
    return fma(set1(step.beta2), old, step.one_minus_beta2 * scaled * scaled);
  };
  map_to(m, n, first, gradient, m);
  map_to(v, n, second, gradient, v);
  map_to(
      weight, n,
      [&](F32 w, F32 a, F32 b) {
        return w * step.decay_factor - step.rate * a / (square_root(b) * step.rsqrt_correction + step.eps);
      },
      weight, m, v);
}

}  // namespace
