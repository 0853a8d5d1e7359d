#include "processor/resize_kernels.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#define VL3_AVX2 __attribute__((target("avx2")))
#endif

namespace vl3 {
namespace {

void weigh_portable(const WeightedRows& rows) {
  constexpr int64_t kStrip = 64;
  int32_t sums[kStrip];
  for (int64_t x = 0; x < rows.n; x += kStrip) {
    const int64_t width = std::min(kStrip, rows.n - x);
    std::fill_n(sums, kStrip, 1 << (rows.precision - 1));
    for (int64_t j = 0; j < rows.count; ++j) {
      const uint8_t* source = rows.source + j * rows.stride + x;
      for (int64_t i = 0; i < width; ++i) sums[i] += source[i] * rows.weights[j];
    }
    for (int64_t i = 0; i < width; ++i) {
      rows.target[x + i] = static_cast<uint8_t>(std::clamp(sums[i] >> rows.precision, 0, 255));
    }
  }
}

#if defined(__x86_64__)

VL3_AVX2 inline __m128i load16(const uint8_t* source) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(source));
}

// Sums of two halves of 16 bytes → the bytes.
VL3_AVX2 inline void store16(uint8_t* target, __m256i low, __m256i high, __m128i shift) {
  low = _mm256_sra_epi32(low, shift);
  high = _mm256_sra_epi32(high, shift);
  const __m128i a = _mm_packs_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  const __m128i b = _mm_packs_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(target), _mm_packus_epi16(a, b));
}

// 16 k bytes beginning at x. Narrow weights go two rows at a time, in products of 16 bits that are added in
// pairs.
template <bool narrow, int k>
VL3_AVX2 inline void weigh_strip(const WeightedRows& rows, int64_t x) {
  __m256i low[k], high[k];
  const __m256i half = _mm256_set1_epi32(1 << (rows.precision - 1));
  for (int i = 0; i < k; ++i) low[i] = high[i] = half;
  const uint8_t* source = rows.source + x;
  int64_t j = 0;
  if constexpr (narrow) {
    for (; j < rows.count; j += 2) {
      const bool pair = j + 1 < rows.count;  // a last row alone goes with itself, weighed zero
      const int32_t second = pair ? rows.weights[j + 1] : 0;
      const __m256i weight = _mm256_set1_epi32(static_cast<int32_t>(
          (static_cast<uint32_t>(rows.weights[j]) & 0xffffU) | (static_cast<uint32_t>(second) << 16)));
      const uint8_t* first = source + j * rows.stride;
      const uint8_t* other = pair ? first + rows.stride : first;
      for (int i = 0; i < k; ++i) {
        const __m128i a = load16(first + 16 * i), b = load16(other + 16 * i);
        low[i] = _mm256_add_epi32(low[i],
                                  _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), weight));
        high[i] = _mm256_add_epi32(high[i],
                                   _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)), weight));
      }
    }
  } else {
    for (; j < rows.count; ++j) {
      const __m256i weight = _mm256_set1_epi32(rows.weights[j]);
      const uint8_t* first = source + j * rows.stride;
      for (int i = 0; i < k; ++i) {
        const __m128i a = load16(first + 16 * i);
        low[i] = _mm256_add_epi32(low[i], _mm256_mullo_epi32(_mm256_cvtepu8_epi32(a), weight));
        high[i] =
            _mm256_add_epi32(high[i], _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(a, 8)), weight));
      }
    }
  }
  const __m128i shift = _mm_cvtsi32_si128(rows.precision);
  for (int i = 0; i < k; ++i) store16(rows.target + x + 16 * i, low[i], high[i], shift);
}

template <bool narrow>
VL3_AVX2 void weigh_avx2(const WeightedRows& rows) {
  if (rows.n < 16) return weigh_portable(rows);
  int64_t x = 0;
  for (; x + 64 <= rows.n; x += 64) weigh_strip<narrow, 4>(rows, x);
  for (; x + 48 <= rows.n; x += 48) weigh_strip<narrow, 3>(rows, x);
  for (; x + 16 <= rows.n; x += 16) weigh_strip<narrow, 1>(rows, x);
  if (x < rows.n) weigh_strip<narrow, 1>(rows, rows.n - 16);  // the last strip begins earlier
}

#endif

}  // namespace

WeighFunction portable_weigh_function() { return weigh_portable; }

WeighFunction weigh_function([[maybe_unused]] bool narrow) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return narrow ? weigh_avx2<true> : weigh_avx2<false>;
#endif
  return weigh_portable;
}

}  // namespace vl3
