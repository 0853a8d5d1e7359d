#pragma once
// The vocabulary the kernels are written in: vectors of VL3_SIMD_BYTES, as the compiler's own vector types. A
// kernel file defines VL3_SIMD_BYTES and is compiled for one instruction set.

#include <cstdint>
#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace {

constexpr int kWidth = VL3_SIMD_BYTES / 4;
typedef float F32 __attribute__((vector_size(VL3_SIMD_BYTES)));
typedef int32_t I32 __attribute__((vector_size(VL3_SIMD_BYTES)));
typedef uint32_t U32 __attribute__((vector_size(VL3_SIMD_BYTES)));
typedef uint16_t U16 __attribute__((vector_size(VL3_SIMD_BYTES / 2)));

template <class V>
inline V load_as(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline F32 load(const float* p) { return load_as<F32>(p); }
inline void store(float* p, F32 v) { __builtin_memcpy(p, &v, sizeof v); }
inline F32 set1(float x) { return x - F32{}; }  // 0 + x would change the sign of -0, and so cost an addition
// a · b + c; contracted to one instruction where there is one.
inline F32 fma(F32 a, F32 b, F32 c) { return a * b + c; }
inline F32 max(F32 a, F32 b) { return a > b ? a : b; }
inline F32 min(F32 a, F32 b) { return a < b ? a : b; }

typedef float Quad __attribute__((vector_size(16)));
inline Quad fold(F32 v) {  // halves added up until four sums are left
#if VL3_SIMD_BYTES == 16
  return v;
#else
#if VL3_SIMD_BYTES == 64
  const auto half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                    __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#else
  const F32 half = v;
#endif
  return __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
#endif
}
inline float reduce_add(F32 v) {
  Quad sums = fold(v);
  sums += __builtin_shufflevector(sums, sums, 2, 3, 0, 1);
  return sums[0] + sums[1];
}
inline float reduce_max(F32 v) {
  float result = v[0];
  for (int i = 1; i < kWidth; ++i) result = v[i] > result ? v[i] : result;
  return result;
}

inline F32 load_bf16(const uint16_t* p) {
#if defined(__AVX512F__) && VL3_SIMD_BYTES == 64
  const U32 wide = reinterpret_cast<U32>(
      _mm512_maskz_cvtepu16_epi32(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__AVX2__) && VL3_SIMD_BYTES == 32  // GCC 12 makes five instructions of the conversion below
  const U32 wide =
      reinterpret_cast<U32>(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  U16 half;
  __builtin_memcpy(&half, p, sizeof half);
  const U32 wide = __builtin_convertvector(half, U32);
#endif
  const U32 bits = wide << 16;
  F32 v;
  __builtin_memcpy(&v, &bits, sizeof v);
  return v;
}
inline float widen_bf16(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float v;
  __builtin_memcpy(&v, &bits, sizeof v);
  return v;
}
// Exact: 2^112 moves the exponent's bias; infinities and NaN have their exponent set by hand.
inline float widen_f16(uint16_t half) {
  const uint32_t rest = half & 0x7fffu, sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  uint32_t bits = rest << 13;
  float v;
  __builtin_memcpy(&v, &bits, sizeof v);
  v *= 0x1p112f;
  __builtin_memcpy(&bits, &v, sizeof v);
  if (rest >= 0x7c00u) bits |= 0x7f800000u;
  bits |= sign;
  __builtin_memcpy(&v, &bits, sizeof v);
  return v;
}
// To nearest even. Adding a power of two that leaves ten bits of fraction rounds subnormals and normals
// alike.
inline uint16_t narrow_to_f16(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (rest >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65520 and more
  if (rest < 0x38800000u) {                                               // below 2^-14
    float magnitude;
    __builtin_memcpy(&magnitude, &rest, sizeof magnitude);
    magnitude += 0.5f;
    uint32_t rounded;
    __builtin_memcpy(&rounded, &magnitude, sizeof rounded);
    return static_cast<uint16_t>(sign | (rounded - 0x3f000000u));
  }
  const uint32_t rounded = rest + 0xfffu + (rest >> 13 & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}
inline F32 load_f16(const uint16_t* p) {
#if defined(__AVX512F__) && VL3_SIMD_BYTES == 64
  return reinterpret_cast<F32>(
      _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__F16C__) && VL3_SIMD_BYTES == 32
  return reinterpret_cast<F32>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  F32 v;
  for (int i = 0; i < kWidth; ++i) v[i] = widen_f16(p[i]);
  return v;
#endif
}

// exp(x) for x ≤ 88, relative error as in docs/numerics.md; infinite from 88.4 to 89, 0 below -87.3, NaN for
// NaN.
inline F32 exp(F32 x) {
  const F32 clamped = max(set1(-87.33654f), x);  // in this order: max gives its second operand for a NaN
  const F32 shifted = fma(clamped, set1(1.44269504f), set1(12582912.0f));  // 1.5 · 2^23: rounds to an integer
  const F32 n = shifted - 12582912.0f;
  F32 r = fma(n, set1(-0.693145751953125f), clamped);  // ln 2 in two parts
  r = fma(n, set1(-1.42860677e-6f), r);
  F32 p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  p = fma(p, r * r, r) + 1.0f;
  I32 bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  bits = ((bits - 0x4b400000) + 127) << 23;
  F32 power;
  __builtin_memcpy(&power, &bits, sizeof power);
  p *= power;
  return x < -87.33654f ? F32{} : p;
}

}  // namespace
