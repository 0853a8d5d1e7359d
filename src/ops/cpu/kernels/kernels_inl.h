#pragma once
// The kernels, written once. A file per instruction set defines VL3_SIMD_BYTES and VL3_TILE_ROWS and includes
// this.

#include "ops/cpu/kernels/blocks.h"
#include "ops/cpu/kernels/kernels.h"

namespace {

using vl3::Elementwise;
using vl3::WeightType;

template <WeightType kType>
struct Stored {
  typedef uint16_t Element;
};
template <>
struct Stored<WeightType::kF32> {
  typedef float Element;
};

template <WeightType kType>
inline F32 load_as_f32(const typename Stored<kType>::Element* p) {
  if constexpr (kType == WeightType::kF32)
    return load(p);
  else if constexpr (kType == WeightType::kBF16)
    return load_bf16(p);
  else
    return load_f16(p);
}
template <WeightType kType>
inline float as_f32(typename Stored<kType>::Element x) {
  if constexpr (kType == WeightType::kF32)
    return x;
  else if constexpr (kType == WeightType::kBF16)
    return widen_bf16(x);
  else
    return widen_f16(x);
}

// f<type>(typed pointer) for the type at run time.
template <class F>
inline void with_type(const void* p, WeightType type, F&& f) {
  switch (type) {
    case WeightType::kF32:
      f.template operator()<WeightType::kF32>(static_cast<const float*>(p));
      break;
    case WeightType::kBF16:
      f.template operator()<WeightType::kBF16>(static_cast<const uint16_t*>(p));
      break;
    case WeightType::kF16:
      f.template operator()<WeightType::kF16>(static_cast<const uint16_t*>(p));
      break;
  }
}

void widen(const void* source, WeightType type, int64_t n, float* target) {
  with_type(source, type, [=]<WeightType kType>(const auto* p) {
    int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) store(target + i, load_as_f32<kType>(p + i));
    for (; i < n; ++i) target[i] = as_f32<kType>(p[i]);
  });
}

void widen_int8(const int8_t* source, float scale, int64_t n, float* target) {
  int64_t i = 0;
#if defined(__AVX512F__) && VL3_SIMD_BYTES == 64
  for (; i + kWidth <= n; i += kWidth) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + i));
    store(target + i,
          __builtin_convertvector(reinterpret_cast<I32>(_mm512_cvtepi8_epi32(bytes)), F32) * scale);
  }
#elif defined(__AVX2__) && VL3_SIMD_BYTES == 32
  for (; i + kWidth <= n; i += kWidth) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(source + i));
    store(target + i,
          __builtin_convertvector(reinterpret_cast<I32>(_mm256_cvtepi8_epi32(bytes)), F32) * scale);
  }
#endif
  for (; i < n; ++i) target[i] = static_cast<float>(source[i]) * scale;
}

void narrow_f16(const float* source, int64_t n, uint16_t* target) {
  int64_t i = 0;
#if defined(__AVX512F__) && VL3_SIMD_BYTES == 64
  for (; i + kWidth <= n; i += kWidth) {
    const __m256i halves =
        _mm512_maskz_cvtps_ph(0xffff, _mm512_loadu_ps(source + i), _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + i), halves);
  }
#elif defined(__F16C__) && VL3_SIMD_BYTES == 32
  for (; i + kWidth <= n; i += kWidth) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(source + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(target + i), halves);
  }
#endif
  for (; i < n; ++i) target[i] = narrow_to_f16(source[i]);
}

// ---- packing

void pack(const void* w, WeightType type, int64_t ldw, int64_t n, int64_t k, float* target) {
  with_type(w, type, [=]<WeightType kType>(const auto* p) {
    for (int64_t group = 0; group < kTileVectors; ++group) {
      const int64_t first = group * kWidth, real = n - first < kWidth ? n - first : kWidth;
      int64_t j = 0;
      for (; j + kWidth <= k; j += kWidth) {
        F32 rows[kWidth];
        for (int64_t i = 0; i < kWidth; ++i)
          rows[i] = i < real ? load_as_f32<kType>(p + (first + i) * ldw + j) : F32{};
        transpose_block(rows);
        for (int64_t i = 0; i < kWidth; ++i) store(target + (j + i) * kTileColumns + first, rows[i]);
      }
      for (; j < k; ++j) {
        for (int64_t i = 0; i < kWidth; ++i) {
          target[j * kTileColumns + first + i] = i < real ? as_f32<kType>(p[(first + i) * ldw + j]) : 0.0f;
        }
      }
    }
  });
}

void pack_rows(const void* w, WeightType type, int64_t ldw, int64_t n, int64_t k, float* target) {
  with_type(w, type, [=]<WeightType kType>(const auto* p) {
    for (int64_t i = 0; i < k; ++i) {
      const auto* row = p + i * ldw;
      float* packed = target + i * kTileColumns;
      if (n == kTileColumns) {
        for (int64_t j = 0; j < kTileColumns; j += kWidth) store(packed + j, load_as_f32<kType>(row + j));
      } else {
        for (int64_t j = 0; j < kTileColumns; ++j) packed[j] = j < n ? as_f32<kType>(row[j]) : 0.0f;
      }
    }
  });
}

void pack_a_panels(const float* a, int64_t lda, int64_t m, int64_t k, int64_t rows, int64_t stride,
                   float* target) {
  const int64_t stored = (rows + kWidth - 1) / kWidth * kWidth;
  for (int64_t i = 0; i < k; ++i) {
    const float* row = a + i * lda;
    float* strip = target + i * rows;
    int64_t j = 0;
    for (; j + stored <= m; j += rows, strip += stride)
      for (int64_t v = 0; v < stored; v += kWidth) store(strip + v, load(row + j + v));
    for (; j < m; j += rows, strip += stride)
      for (int64_t v = 0; v < rows && j + v < m; ++v) strip[v] = row[j + v];
  }
}

void transpose(const float* source, int64_t ld, int64_t rows, int64_t columns, float* target,
               int64_t target_ld) {
  const int64_t padded = (rows + kWidth - 1) / kWidth * kWidth;
  for (int64_t first = 0; first < padded; first += kWidth) {
    const int64_t real = rows - first < kWidth ? rows - first : kWidth;
    int64_t j = 0;
    for (; j + kWidth <= columns; j += kWidth) {
      F32 block[kWidth];
      for (int64_t i = 0; i < kWidth; ++i) block[i] = i < real ? load(source + (first + i) * ld + j) : F32{};
      transpose_block(block);
      for (int64_t i = 0; i < kWidth; ++i) store(target + (j + i) * target_ld + first, block[i]);
    }
    for (; j < columns; ++j) {
      for (int64_t i = 0; i < kWidth; ++i) {
        target[j * target_ld + first + i] = i < real ? source[(first + i) * ld + j] : 0.0f;
      }
    }
  }
}

// ---- products

// The products are added up by themselves before they meet what c holds: several calls over short stretches
// of k round less than one over all of it.
template <bool kTransposed, int kRows, int kVectors>
inline void tile_of(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t k, float* c,
                    int64_t ldc, bool accumulate) {
  F32 sum[kRows][kVectors] = {};
  for (int64_t p = 0; p < k; ++p) {
    F32 column[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) column[v] = load(b + p * ldb + v * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const F32 x = set1(kTransposed ? a[p * lda + i] : a[i * lda + p]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[i][v] = fma(x, column[v], sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* target = c + i * ldc + v * kWidth;
      store(target, accumulate ? sum[i][v] + load(target) : sum[i][v]);
    }
  }
}

template <bool kTransposed, int kRows, int kVectors>
void tile_rows(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t m, int64_t k, float* c,
               int64_t ldc, bool accumulate) {
  if (m == kRows) return tile_of<kTransposed, kRows, kVectors>(a, lda, b, ldb, k, c, ldc, accumulate);
  if constexpr (kRows > 1)
    tile_rows<kTransposed, kRows - 1, kVectors>(a, lda, b, ldb, m, k, c, ldc, accumulate);
}

template <bool kTransposed>
void tile(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t m, int64_t n, int64_t k, float* c,
          int64_t ldc, bool accumulate) {
  if (n == kTileColumns)
    return tile_rows<kTransposed, kTileRows, kTileVectors>(a, lda, b, ldb, m, k, c, ldc, accumulate);
  if (n == kWidth) return tile_rows<kTransposed, kTileRows, 1>(a, lda, b, ldb, m, k, c, ldc, accumulate);
  float buffer[kTileRows * kTileColumns];
  for (int64_t i = 0; accumulate && i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) buffer[i * kTileColumns + j] = c[i * ldc + j];
    for (int64_t j = n; j < kTileColumns; ++j) buffer[i * kTileColumns + j] = 0;
  }
  tile_rows<kTransposed, kTileRows, kTileVectors>(a, lda, b, ldb, m, k, buffer, kTileColumns, accumulate);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = buffer[i * kTileColumns + j];
  }
}

// ---- rows. A row's tail that does not fill a vector goes through a vector of its own, filled up with zeros.

struct Tail {
  float lanes[kWidth] = {};
  Tail(const float* p, int64_t n) {
    for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  }
  F32 vector() const { return load(lanes); }
};

inline void store_tail(float* p, F32 v, int64_t n) {
  float lanes[kWidth];
  store(lanes, v);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

// y[i] = f(a[i], b[i]) over whole vectors.
template <class F>
inline void map2(const float* a, const float* b, int64_t n, float* y, F&& f) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, f(load(a + i), load(b + i)));
  if (i < n) store_tail(y + i, f(Tail(a + i, n - i).vector(), Tail(b + i, n - i).vector()), n - i);
}

template <class F>
inline float sum_of(const float* x, int64_t n, F&& f) {
  F32 sum = {};
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) sum += f(load(x + i));
  float total = reduce_add(sum);
  for (; i < n; ++i) total += f(set1(x[i]))[0];
  return total;
}

// Beyond 88.4 exp is infinite and this is 0: x · sigmoid(x) of a huge negative x must vanish.
inline F32 sigmoid(F32 x) { return 1.0f / (1.0f + exp(min(-x, set1(89.0f)))); }

void activate(float* x, int64_t n, Elementwise kind) {
  if (kind == Elementwise::kSilu) return map2(x, x, n, x, [](F32 v, F32) { return v * sigmoid(v); });
  map2(x, x, n, x, [](F32 v, F32) {
    constexpr float kTwiceRoot = 1.5957691216057308f;  // 2 √(2/π), and tanh(u) = 2 sigmoid(2u) - 1
    return v * sigmoid(kTwiceRoot * fma(0.044715f * v, v * v, v));
  });
}

void swiglu(const float* gate, const float* up, int64_t n, float* target) {
  map2(gate, up, n, target, [](F32 g, F32 u) { return g * sigmoid(g) * u; });
}

void add(const float* a, const float* b, int64_t n, float* target) {
  map2(a, b, n, target, [](F32 x, F32 y) { return x + y; });
}

void scale(float* x, int64_t n, float factor) {
  map2(x, x, n, x, [=](F32 v, F32) { return v * factor; });
}

void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* y) {
  const float mean = sum_of(x, n, [](F32 v) { return v; }) / static_cast<float>(n);
  const float variance = sum_of(x, n, [=](F32 v) { return (v - mean) * (v - mean); }) / static_cast<float>(n);
  const float inverse = 1.0f / __builtin_sqrtf(variance + eps);
  map2(x, weight, n, y, [=](F32 v, F32 w) { return (v - mean) * inverse * w; });
  map2(y, bias, n, y, [](F32 v, F32 b) { return v + b; });
}

void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* y) {
  const float mean = sum_of(x, n, [](F32 v) { return v * v; }) / static_cast<float>(n);
  const float inverse = 1.0f / __builtin_sqrtf(mean + eps);
  map2(x, weight, n, y, [=](F32 v, F32 w) { return v * inverse * w; });
}

void rope(const float* x, const float* cos, const float* sin, int64_t half, float* y) {
  int64_t i = 0;
  for (; i + kWidth <= half; i += kWidth) {
    const F32 a = load(x + i), b = load(x + half + i), c = load(cos + i), s = load(sin + i);
    store(y + i, a * c - b * s);
    store(y + half + i, b * c + a * s);
  }
  for (; i < half; ++i) {
    const float a = x[i], b = x[half + i];
    y[i] = a * cos[i] - b * sin[i];
    y[half + i] = b * cos[i] + a * sin[i];
  }
}

float softmax_step(float* scores, int64_t n, float factor, float* maximum, float* sum) {
  float largest = scores[0];
  int64_t i = 0;
  if (n >= kWidth) {
    F32 lanes = load(scores);
    for (i = kWidth; i + kWidth <= n; i += kWidth) lanes = max(lanes, load(scores + i));
    largest = reduce_max(lanes);
  }
  for (; i < n; ++i) largest = scores[i] > largest ? scores[i] : largest;
  const float updated = largest * factor > *maximum ? largest * factor : *maximum;
  F32 total = {};
  for (i = 0; i + kWidth <= n; i += kWidth) {
    const F32 p = exp(fma(load(scores + i), set1(factor), set1(-updated)));
    store(scores + i, p);
    total += p;
  }
  float added = reduce_add(total);
  if (i < n) {
    const F32 p = exp(fma(Tail(scores + i, n - i).vector(), set1(factor), set1(-updated)));
    store_tail(scores + i, p, n - i);
    for (int64_t j = 0; j < n - i; ++j) added += scores[i + j];
  }
  const float correction = exp(set1(*maximum - updated))[0];
  *sum = *sum * correction + added;
  *maximum = updated;
  return correction;
}

}  // namespace
