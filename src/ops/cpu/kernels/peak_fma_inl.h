#pragma once
// Independent multiply-adds on registers: what a core can do at most, for benchmarks to compare with.

#include "ops/cpu/kernels/simd.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr int kSpinChains = 12;

// rounds · kSpinChains times step(sum, a, b) on vectors V; the sums are kept alive.
template <class V, class Step>
inline void repeat_fma(int64_t rounds, V a, V b, Step&& step) {
  V sums[kSpinChains] = {};
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kSpinChains; ++i) {
      sums[i] = step(sums[i], a, b);
      asm volatile("" : "+x"(sums[i]));
    }
  }
}

[[maybe_unused]] int64_t peak_fma_f32(int64_t rounds) {
  repeat_fma(rounds, set1(0.5f), set1(0.25f), [](F32 sum, F32 a, F32 b) { return fma(a, b, sum); });
  return rounds * kSpinChains * kWidth * 2;
}

// Null where there is no such instruction.
#if defined(__AVX512VNNI__) && VL3_SIMD_BYTES == 64
[[maybe_unused]] int64_t peak_fma_int8(int64_t rounds) {
  repeat_fma(rounds, I32{} + 0x01010101, I32{} + 0x02020202, [](I32 sum, I32 a, I32 b) {
    return reinterpret_cast<I32>(_mm512_dpbusd_epi32(
        reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
  });
  return rounds * kSpinChains * kWidth * 8;
}
#elif defined(__AVX2__) && VL3_SIMD_BYTES == 32
[[maybe_unused]] int64_t peak_fma_int8(int64_t rounds) {
  // Products of the sum itself: those of the constants would be taken out of the loop.
  repeat_fma(rounds, I32{} + 0x01010101, I32{}, [](I32 sum, I32 a, I32) {
    const __m256i pairs = _mm256_maddubs_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(sum));
    return sum + reinterpret_cast<I32>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  });
  return rounds * kSpinChains * kWidth * 8;
}
#else
constexpr int64_t (*peak_fma_int8)(int64_t) = nullptr;
#endif

}  // namespace
