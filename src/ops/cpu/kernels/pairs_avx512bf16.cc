// Products of bf16 pairs, for processors with AVX512_BF16.

#include "ops/cpu/kernels/tables.h"

#if defined(__AVX512BF16__)

#include <immintrin.h>

#define VL3_SIMD_BYTES 64
#define VL3_TILE_ROWS 14
#include "ops/cpu/kernels/blocks.h"
#include "ops/cpu/kernels/peak_fma_inl.h"

namespace {

// Of n numbers, the lanes that are there.
inline __mmask16 lanes_of(int64_t n) {
  return n >= kWidth ? 0xffff : n <= 0 ? 0 : static_cast<__mmask16>((1u << n) - 1);
}

inline F32 dot_pairs(F32 sum, uint32_t a, F32 b) {
  return reinterpret_cast<F32>(_mm512_dpbf16_ps(
      reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a))),
      reinterpret_cast<__m512bh>(b)));
}

template <bool kTransposed, int kRows, int kVectors>
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
      for (int v = 0; v < kVectors; ++v)
        sum[i][v] = dot_pairs(sum[i][v], kTransposed ? a[p * lda + i] : a[i * lda + p], column[v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(c + i * ldc + v * kWidth, sum[i][v]);
  }
}

template <bool kTransposed, int kRows, int kVectors>
void pairs_tile_rows(const uint32_t* a, int64_t lda, const float* b, int64_t ldb, int64_t m, int64_t pairs,
                     float* c, int64_t ldc, bool accumulate) {
  if (m == kRows)
    return pairs_tile_of<kTransposed, kRows, kVectors>(a, lda, b, ldb, pairs, c, ldc, accumulate);
  if constexpr (kRows > 1)
    pairs_tile_rows<kTransposed, kRows - 1, kVectors>(a, lda, b, ldb, m, pairs, c, ldc, accumulate);
}

// kWidth rows of w, `real` of them there, of the first `left` pairs of each, as columns of a panel. bytes: of
// a row's pairs, which end with half a one where k is odd. A pair is moved like an f32: the words are never
// computed with.
inline void pack_block(const uint16_t* w, int64_t ldw, int64_t real, int64_t left, size_t bytes,
                       uint32_t* target) {
  F32 rows[kWidth];
  if (real == kWidth && bytes == sizeof(F32)) {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) __builtin_memcpy(&rows[i], w + i * ldw, sizeof rows[i]);
  } else {
    for (int i = 0; i < kWidth; ++i) {
      rows[i] = F32{};
      if (i < real) __builtin_memcpy(&rows[i], w + i * ldw, bytes);
    }
  }
  transpose_block(rows);
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    if (i == left) return;
    __builtin_memcpy(target + i * kTileColumns, &rows[i], sizeof rows[i]);
  }
}

void pack_pairs(const uint16_t* w, int64_t ldw, int64_t n, int64_t pairs, bool odd, uint32_t* target) {
  for (int64_t first = 0; first < kTileColumns; first += kWidth) {
    const int64_t real = n - first < kWidth ? n - first : kWidth;
    const uint16_t* rows = w + first * ldw;
    uint32_t* column = target + first;
    int64_t j = 0;
    for (; j + kWidth < pairs; j += kWidth)
      pack_block(rows + 2 * j, ldw, real, kWidth, sizeof(F32), column + j * kTileColumns);
    const int64_t left = pairs - j;
    if (left > 0)
      pack_block(rows + 2 * j, ldw, real, left, static_cast<size_t>(4 * left - (odd ? 2 : 0)),
                 column + j * kTileColumns);
  }
}

template <bool kTransposed>
void tile_pairs(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t m, int64_t n,
                int64_t pairs, float* c, int64_t ldc, bool accumulate) {
  const float* words = reinterpret_cast<const float*>(b);
  if (n == kTileColumns) {
    return pairs_tile_rows<kTransposed, kTileRows, kTileVectors>(a, lda, words, ldb, m, pairs, c, ldc,
                                                                 accumulate);
  }
  if (n == kWidth)
    return pairs_tile_rows<kTransposed, kTileRows, 1>(a, lda, words, ldb, m, pairs, c, ldc, accumulate);
  float buffer[kTileRows * kTileColumns];
  for (int64_t i = 0; accumulate && i < m; ++i) {
    for (int64_t j = 0; j < kTileColumns; ++j) buffer[i * kTileColumns + j] = j < n ? c[i * ldc + j] : 0;
  }
  pairs_tile_rows<kTransposed, kTileRows, kTileVectors>(a, lda, words, ldb, m, pairs, buffer, kTileColumns,
                                                        accumulate);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = buffer[i * kTileColumns + j];
  }
}

void round_pairs(const float* source, int64_t n, uint32_t* target) {
  uint16_t* halves = reinterpret_cast<uint16_t*>(target);
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    const __m512bh pairs =
        _mm512_cvtne2ps_pbh(_mm512_loadu_ps(source + i + kWidth), _mm512_loadu_ps(source + i));
    __builtin_memcpy(halves + i, &pairs, sizeof pairs);
  }
  for (; i < n; i += kWidth) {
    const __mmask16 real = lanes_of(n - i);
    const __m256bh rest = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(real, source + i));
    _mm256_mask_storeu_epi16(halves + i, real, reinterpret_cast<__m256i>(rest));
  }
  if (n % 2 != 0) halves[n] = 0;
}

// Lane d: bf16 of first[d] below bf16 of second[d].
inline __m512i interleaved(__m512 first, __m512 second) {
  const __m512i low = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(first)));
  const __m512i high = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(second)));
  return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

void interleave_pairs(const float* first, const float* second, int64_t n, uint32_t* target) {
  for (int64_t d = 0; d < n; d += kWidth) {
    const __mmask16 real = lanes_of(n - d);
    const __m512 a = _mm512_maskz_loadu_ps(real, first + d);
    const __m512 b = second == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(real, second + d);
    _mm512_mask_storeu_epi32(target + d, real, interleaved(a, b));
  }
}

void interleave_halves(const uint16_t* first, const uint16_t* second, int64_t n, uint32_t* target) {
  for (int64_t d = 0; d < n; d += kWidth) {
    const __mmask16 real = lanes_of(n - d);
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(real, first + d));
    const __m512i high = second == nullptr
                             ? _mm512_setzero_si512()
                             : _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(real, second + d));
    _mm512_mask_storeu_epi32(target + d, real, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
}

// kRows rows of W against kInputs rows of x, each weight loaded once. Every sum is two chains: one alone
// would be waited for longer than memory. Where there are several rows the next ones are asked for meanwhile,
// which the processor does not foresee (8 sequences together decode 1.4 times as fast for it).
template <int kRows, int kInputs>
inline void dots_of(const uint16_t* w, int64_t ldw, const uint16_t* x, int64_t ldx, int64_t k, float* y,
                    int64_t ldy) {
  constexpr int64_t kPairs = 2 * kWidth;  // bf16 of a vector
  F32 sum[kRows][kInputs][2] = {};
  const auto step = [&](int64_t p, int chain, __mmask32 real) __attribute__((always_inline)) {
    __m512bh weight[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      weight[r] = reinterpret_cast<__m512bh>(_mm512_maskz_loadu_epi16(real, w + r * ldw + p));
      if constexpr (kRows > 1) _mm_prefetch(w + (kRows + r) * ldw + p, _MM_HINT_T1);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kInputs; ++i) {
      const __m512bh input = reinterpret_cast<__m512bh>(_mm512_maskz_loadu_epi16(real, x + i * ldx + p));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sum[r][i][chain] = reinterpret_cast<F32>(
            _mm512_dpbf16_ps(reinterpret_cast<__m512>(sum[r][i][chain]), weight[r], input));
      }
    }
  };
  int64_t p = 0;
  for (; p + 2 * kPairs <= k; p += 2 * kPairs) {
    step(p, 0, 0xffffffffu);
    step(p + kPairs, 1, 0xffffffffu);
  }
  // Each chain by name: were its number counted, the sums would lie in memory.
  const auto rest = [&](int64_t at) { return static_cast<__mmask32>((1ull << (k - at)) - 1); };
  if (p + kPairs <= k) {
    step(p, 0, 0xffffffffu);
    step(p + kPairs, 1, rest(p + kPairs));
  } else if (p < k) {
    step(p, 0, rest(p));
  }
  F32 sums[kRows][kInputs];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kInputs; ++i) sums[r][i] = sum[r][i][0] + sum[r][i][1];
  }
  store_sums(sums, y, ldy);
}

template <int kRows>
inline void dots_inputs(const uint16_t* w, int64_t ldw, const uint16_t* x, int64_t ldx, int64_t m, int64_t k,
                        float* y, int64_t ldy) {
  int64_t i = 0;
  for (; i + 4 <= m; i += 4) dots_of<kRows, 4>(w, ldw, x + i * ldx, ldx, k, y + i * ldy, ldy);
  for (; i + 2 <= m; i += 2) dots_of<kRows, 2>(w, ldw, x + i * ldx, ldx, k, y + i * ldy, ldy);
  if (i < m) dots_of<kRows, 1>(w, ldw, x + i * ldx, ldx, k, y + i * ldy, ldy);
}

void gemv_pairs(const uint16_t* w, int64_t ldw, int64_t n, const uint32_t* x, int64_t ldx, int64_t m,
                int64_t k, float* y, int64_t ldy) {
  const auto* inputs = reinterpret_cast<const uint16_t*>(x);
  constexpr int kRows = 3;  // times four inputs and two chains, as the registers allow
  int64_t r = 0;
  if (m > 1) {  // a single row of x is done row by row of W, so that memory is read in order
    for (; r + kRows <= n; r += kRows)
      dots_inputs<kRows>(w + r * ldw, ldw, inputs, 2 * ldx, m, k, y + r, ldy);
  }
  for (; r < n; ++r) dots_inputs<1>(w + r * ldw, ldw, inputs, 2 * ldx, m, k, y + r, ldy);
}

// 2^t for t ≤ 0, within 4e-6: what is rounded to bf16 needs no more.
inline __m512 exp2_of(__m512 t) {
  const __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(t, n);
  __m512 p = _mm512_set1_ps(9.6702557e-3f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5826318e-2f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4022651e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9314718e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

inline float largest_of(const float* x, int64_t n) {
  __m512 lanes[4];  // chains: one would be waited for
  for (__m512& chain : lanes) chain = _mm512_set1_ps(-__builtin_inff());
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) lanes[c] = _mm512_max_ps(lanes[c], _mm512_loadu_ps(x + i + c * kWidth));
  }
  for (; i < n; i += kWidth) {
    const __mmask16 real = lanes_of(n - i);
    lanes[0] = _mm512_mask_max_ps(lanes[0], real, lanes[0], _mm512_maskz_loadu_ps(real, x + i));
  }
  return _mm512_reduce_max_ps(
      _mm512_max_ps(_mm512_max_ps(lanes[0], lanes[1]), _mm512_max_ps(lanes[2], lanes[3])));
}

float softmax_pairs(const float* scores, int64_t n, float factor, float* maximum, float* sum,
                    uint32_t* target) {
  const float largest = largest_of(scores, n) * factor;
  const float updated = largest > *maximum ? largest : *maximum;
  constexpr float kLog2e = 1.4426950408889634f;
  const __m512 slope = _mm512_set1_ps(factor * kLog2e), shift = _mm512_set1_ps(-updated * kLog2e);
  __m512 total[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  const auto probabilities = [&](__m512 s) __attribute__((always_inline)) {
    return exp2_of(_mm512_fmadd_ps(s, slope, shift));
  };
  const auto write = [&](int64_t i, __m512 low, __m512 high) __attribute__((always_inline)) {
    total[0] = _mm512_add_ps(total[0], low);
    total[1] = _mm512_add_ps(total[1], high);
    _mm512_storeu_si512(target + i / 2, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
  };
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth)
    write(i, probabilities(_mm512_loadu_ps(scores + i)), probabilities(_mm512_loadu_ps(scores + i + kWidth)));
  if (i < n) {
    const auto some = [&](int64_t at) __attribute__((always_inline)) {
      const __mmask16 real = lanes_of(n - at);
      return _mm512_maskz_mov_ps(real, probabilities(_mm512_maskz_loadu_ps(real, scores + at)));
    };
    write(i, some(i), some(i + kWidth));
  }
  const float correction = _mm512_cvtss_f32(exp2_of(_mm512_set1_ps((*maximum - updated) * kLog2e)));
  *sum = *sum * correction + _mm512_reduce_add_ps(_mm512_add_ps(total[0], total[1]));
  *maximum = updated;
  return correction;
}

int64_t peak_fma_bf16(int64_t rounds) {
  repeat_fma(rounds, set1(0.5f), set1(0.25f), [](F32 sum, F32 a, F32 b) {
    return reinterpret_cast<F32>(_mm512_dpbf16_ps(
        reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)));
  });
  return rounds * kSpinChains * kWidth * 4;
}

}  // namespace

namespace vl3 {

void use_avx512bf16(KernelSet& set) noexcept {
  set.pair_rows = kTileRows;
  set.pack_pairs = pack_pairs;
  set.tile_pairs = tile_pairs<false>;
  set.tile_pairs_transposed = tile_pairs<true>;
  set.round_pairs = round_pairs;
  set.interleave_pairs = interleave_pairs;
  set.interleave_halves = interleave_halves;
  set.gemv_pairs = gemv_pairs;
  set.softmax_pairs = softmax_pairs;
  set.peak_fma_bf16 = peak_fma_bf16;
}

}  // namespace vl3

#endif
