#include "ops/cpu/pairs_avx512bf16.h"

#if defined(__AVX512BF16__)

#include <immintrin.h>

#define VL3_SIMD_BYTES 64
#define VL3_TILE_ROWS 14
#include "ops/cpu/blocks.h"

namespace {

inline F32 dot_pairs(F32 sum, uint32_t a, F32 b) {
  return reinterpret_cast<F32>(_mm512_dpbf16_ps(
      reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a))),
      reinterpret_cast<__m512bh>(b)));
}

template <int kRows, int kVectors>
inline void pairs_tile_of(const uint32_t* a, int64_t lda, const float* b, int64_t ldb, int64_t pairs,
                          float* c, int64_t ldc, bool accumulate) {
  F32 sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[i][v] = accumulate ? load(c + i * ldc + v * kWidth) : F32{};
  }
  for (int64_t p = 0; p < pairs; ++p) {
    F32 column[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) column[v] = load(b + p * ldb + v * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[i][v] = dot_pairs(sum[i][v], a[i * lda + p], column[v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(c + i * ldc + v * kWidth, sum[i][v]);
  }
}

template <int kRows, int kVectors>
void pairs_tile_rows(const uint32_t* a, int64_t lda, const float* b, int64_t ldb, int64_t m, int64_t pairs,
                     float* c, int64_t ldc, bool accumulate) {
  if (m == kRows) return pairs_tile_of<kRows, kVectors>(a, lda, b, ldb, pairs, c, ldc, accumulate);
  if constexpr (kRows > 1) pairs_tile_rows<kRows - 1, kVectors>(a, lda, b, ldb, m, pairs, c, ldc, accumulate);
}

}  // namespace

namespace vl3 {

// A pair is moved like an f32: the words are never computed with.
void avx512bf16_pack(const uint16_t* w, int64_t ldw, int64_t n, int64_t pairs, bool odd, uint32_t* target) {
  const int64_t whole = pairs - (odd ? 1 : 0);
  for (int64_t group = 0; group < kTileVectors; ++group) {
    const int64_t first = group * kWidth, real = n - first < kWidth ? n - first : kWidth;
    int64_t j = 0;
    for (; j + kWidth <= whole; j += kWidth) {
      F32 rows[kWidth];
      for (int64_t i = 0; i < kWidth; ++i) {
        rows[i] = F32{};
        if (i < real) __builtin_memcpy(&rows[i], w + (first + i) * ldw + 2 * j, sizeof rows[i]);
      }
      transpose_block(rows);
      for (int64_t i = 0; i < kWidth; ++i) {
        __builtin_memcpy(target + (j + i) * kTileColumns + first, &rows[i], sizeof rows[i]);
      }
    }
    for (; j < pairs; ++j) {
      for (int64_t i = 0; i < kWidth; ++i) {
        uint32_t pair = 0;
        const uint16_t* source = w + (first + i) * ldw + 2 * j;
        if (i < real) __builtin_memcpy(&pair, source, j < whole ? 4 : 2);
        target[j * kTileColumns + first + i] = pair;
      }
    }
  }
}

void avx512bf16_tile(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t m, int64_t n,
                     int64_t pairs, float* c, int64_t ldc, bool accumulate) {
  const float* words = reinterpret_cast<const float*>(b);
  if (n == kTileColumns) {
    return pairs_tile_rows<kTileRows, kTileVectors>(a, lda, words, ldb, m, pairs, c, ldc, accumulate);
  }
  if (n == kWidth) return pairs_tile_rows<kTileRows, 1>(a, lda, words, ldb, m, pairs, c, ldc, accumulate);
  float buffer[kTileRows * kTileColumns];
  for (int64_t i = 0; accumulate && i < m; ++i) {
    for (int64_t j = 0; j < kTileColumns; ++j) buffer[i * kTileColumns + j] = j < n ? c[i * ldc + j] : 0;
  }
  pairs_tile_rows<kTileRows, kTileVectors>(a, lda, words, ldb, m, pairs, buffer, kTileColumns, accumulate);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = buffer[i * kTileColumns + j];
  }
}

void avx512bf16_round(const float* source, int64_t n, uint32_t* target) {
  uint16_t* halves = reinterpret_cast<uint16_t*>(target);
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    const __m512bh pairs =
        _mm512_cvtne2ps_pbh(_mm512_loadu_ps(source + i + kWidth), _mm512_loadu_ps(source + i));
    __builtin_memcpy(halves + i, &pairs, sizeof pairs);
  }
  for (; i < n; ++i) {
    const __m128bh one = _mm_cvtneps_pbh(_mm_set_ss(source[i]));
    __builtin_memcpy(halves + i, &one, 2);
  }
  if (n % 2 != 0) halves[n] = 0;
}

}  // namespace vl3

#endif
