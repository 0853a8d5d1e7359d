#pragma once
// Products of a few rows with weights, keys or values as they lie, which are read once: what decoding waits
// for. Written once like those of kernels_inl.h.

#include "ops/cpu/kernels/kernels_inl.h"

namespace {

// kRows rows of W against kInputs rows of x, each weight loaded and widened once. The rows at next are asked
// for meanwhile: the processor does not foresee several rows at once. A line is asked for once where there is
// much to multiply, and by every vector for a single input, which waits for memory: what there is no room for
// at the moment is not fetched.
template <WeightType kType, int kRows, int kInputs>
inline void dot_block(const typename Stored<kType>::Element* w, int64_t ldw, const float* x, int64_t ldx,
                      int64_t k, float* y, int64_t ldy, const typename Stored<kType>::Element* next) {
  constexpr int64_t kLine = 64 / sizeof *w;  // a multiple of kWidth
  F32 sum[kRows][kInputs] = {};
  const auto add = [&](int64_t p) __attribute__((always_inline)) {
    F32 weight[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) weight[r] = load_as_f32<kType>(w + r * ldw + p);
#pragma GCC unroll 4
    for (int i = 0; i < kInputs; ++i) {
      const F32 input = load(x + i * ldx + p);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) sum[r][i] = fma(weight[r], input, sum[r][i]);
    }
  };
  int64_t p = 0;
  for (; p + kLine <= k; p += kLine) {
#pragma GCC unroll 8
    for (int64_t v = 0; v < kLine; v += kWidth) {
      if (kRows > 1 && (v == 0 || kInputs == 1)) {
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) __builtin_prefetch(next + r * ldw + p + v, 0, 2);
      }
      add(p + v);
    }
  }
  for (; p + kWidth <= k; p += kWidth) add(p);
  store_sums(sum, y, ldy);
  for (; p < k; ++p) {
#pragma GCC unroll 4
    for (int i = 0; i < kInputs; ++i) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) y[i * ldy + r] += as_f32<kType>(w[r * ldw + p]) * x[i * ldx + p];
    }
  }
}

// Four inputs at a time, then what is left.
template <WeightType kType, int kRows>
inline void dot_inputs(const typename Stored<kType>::Element* w, int64_t ldw, const float* x, int64_t ldx,
                       int64_t m, int64_t k, float* y, int64_t ldy,
                       const typename Stored<kType>::Element* next) {
  const auto block = [=]<int kInputs>(int64_t i) __attribute__((always_inline)) {
    dot_block<kType, kRows, kInputs>(w, ldw, x + i * ldx, ldx, k, y + i * ldy, ldy, next);
    return i + kInputs;
  };
  int64_t i = 0;
  while (m - i >= 4) i = block.template operator()<4>(i);
  if (m - i == 3) i = block.template operator()<3>(i);
  if (m - i == 2) i = block.template operator()<2>(i);
  if (m - i == 1) block.template operator()<1>(i);
}

void gemv(const void* w, WeightType type, int64_t ldw, int64_t n, const float* x, int64_t ldx, int64_t m,
          int64_t k, float* y, int64_t ldy, const void* next) {
  with_type(w, type, [=]<WeightType kType>(const auto* p) {
    const auto* following = static_cast<decltype(p)>(next);
    const auto rows = [=]<int kRows>(int64_t r) __attribute__((always_inline)) {
      const auto* wanted = (following == nullptr ? p + kRows * ldw : following) + r * ldw;
      dot_inputs<kType, kRows>(p + r * ldw, ldw, x, ldx, m, k, y + r, ldy, wanted);
      return r + kRows;
    };
    constexpr int kRows = kWidth == 16 ? 4 : 3;  // times four inputs, as the registers allow
    int64_t r = 0;
    if (m < 3) {
      while (r + 4 <= n) r = rows.template operator()<4>(r);
    }
    while (r + kRows <= n) r = rows.template operator()<kRows>(r);
    while (r < n) r = rows.template operator()<1>(r);
  });
}

// kRows rows of p against kVectors vectors of every row of v. As many lines are asked for from next on.
template <WeightType kType, int kRows, int kVectors, bool kPrefetch>
inline void weigh_block(const float* p, int64_t ldp, const typename Stored<kType>::Element* v, int64_t ldv,
                        int64_t count, float* y, int64_t ldy, const typename Stored<kType>::Element* next) {
  constexpr int64_t kLine = 64 / sizeof *v;
  F32 sum[kRows][kVectors];
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int d = 0; d < kVectors; ++d) sum[i][d] = load(y + i * ldy + d * kWidth);
  }
  for (int64_t j = 0; j < count; ++j, v += ldv, next += kVectors * kWidth) {
    F32 weight[kRows];
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) weight[i] = set1(p[i * ldp + j]);
#pragma GCC unroll 4
    for (int d = 0; d < kVectors; ++d) {
      if (kPrefetch && d * kWidth % kLine == 0) __builtin_prefetch(next + d * kWidth, 0, 2);
      const F32 value = load_as_f32<kType>(v + d * kWidth);
#pragma GCC unroll 6
      for (int i = 0; i < kRows; ++i) sum[i][d] = fma(weight[i], value, sum[i][d]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int d = 0; d < kVectors; ++d) store(y + i * ldy + d * kWidth, sum[i][d]);
  }
}

// The lines at next are asked for in order, whatever the order in which v is passed: memory is fastest so.
template <WeightType kType, int kRows, bool kPrefetch>
inline void weigh_rows(const float* p, int64_t ldp, const typename Stored<kType>::Element* v, int64_t ldv,
                       int64_t count, int64_t n, float* y, int64_t ldy,
                       const typename Stored<kType>::Element* next) {
  int64_t d = 0;
  for (; d + 4 * kWidth <= n; d += 4 * kWidth)
    weigh_block<kType, kRows, 4, kPrefetch>(p, ldp, v + d, ldv, count, y + d, ldy, next + d * count);
  for (; d + kWidth <= n; d += kWidth)
    weigh_block<kType, kRows, 1, kPrefetch>(p, ldp, v + d, ldv, count, y + d, ldy, next + d * count);
  for (int i = 0; d < n && i < kRows; ++i) {
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t e = d; e < n; ++e) y[i * ldy + e] += p[i * ldp + j] * as_f32<kType>(v[j * ldv + e]);
    }
  }
}

void weighted_sum(const float* p, int64_t ldp, const void* v, WeightType type, int64_t ldv, int64_t m,
                  int64_t count, int64_t n, float* y, int64_t ldy, const void* next) {
  with_type(v, type, [=]<WeightType kType>(const auto* values) {
    const auto* wanted = next == nullptr ? values : static_cast<decltype(values)>(next);
    const auto rows = [=]<int kRows>(int64_t i) __attribute__((always_inline)) {
      const auto run = [=]<bool kPrefetch>() __attribute__((always_inline)) {
        weigh_rows<kType, kRows, kPrefetch>(p + i * ldp, ldp, values, ldv, count, n, y + i * ldy, ldy,
                                            wanted);
      };
      if (i == 0 && next != nullptr)
        run.template operator()<true>();
      else
        run.template operator()<false>();
      return i + kRows;
    };
    constexpr int kRows = kWidth == 16 ? 6 : 3;  // times four vectors, as the registers allow
    int64_t i = 0;
    while (i + kRows <= m) i = rows.template operator()<kRows>(i);
    while (i + 2 <= m) i = rows.template operator()<2>(i);
    while (i < m) i = rows.template operator()<1>(i);
  });
}

}  // namespace
