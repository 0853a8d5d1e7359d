#pragma once
// Rows of activations as bytes, for products with int8 and int4 weights.

#include "ops/cpu/quad_dots_inl.h"

namespace {

// The largest magnitude; NaN where a number is not finite.
inline float largest_of(const float* x, int64_t n) {
  F32 lanes = {}, nothing = {};
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const F32 v = load(x + i);
    lanes = max(lanes, max(v, -v));
    nothing += v - v;
  }
  float largest = reduce_max(lanes), nothing_more = reduce_add(nothing);
  for (; i < n; ++i) {
    const float magnitude = x[i] < 0 ? -x[i] : x[i];
    if (magnitude > largest) largest = magnitude;
    nothing_more += x[i] - x[i];
  }
  return largest + nothing_more;
}

// Numbers times inverse, to nearest.
inline I32 round_to_integers(F32 x, float inverse) {
  constexpr float kMagic = 12582912.0f;  // 1.5 · 2^23: the low bits hold the integer
  const F32 shifted = fma(x, set1(inverse), set1(kMagic));
  I32 q;
  __builtin_memcpy(&q, &shifted, sizeof q);
  return q - 0x4b400000;
}

// The low bytes of integers from -128 to 127, or of any where processors have an instruction for that.
inline Narrow low_bytes(I32 q) {
#if defined(__AVX2__) && VL3_SIMD_BYTES == 32
  const __m256i words = _mm256_packs_epi32(reinterpret_cast<__m256i>(q), reinterpret_cast<__m256i>(q));
  const __m256i bytes = _mm256_packs_epi16(words, words);
  const __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
  Narrow result;
  __builtin_memcpy(&result, &both, sizeof result);
  return result;
#else
  return __builtin_convertvector(q, Narrow);
#endif
}

inline int32_t reduce_add(I32 lanes) {
  int32_t sum = 0;
  for (int lane = 0; lane < kWidth; ++lane) sum += lanes[lane];
  return sum;
}

// n numbers times inverse, to nearest, as bytes above offset. Returns their sum, without the offset.
inline int32_t round_bytes(const float* x, int64_t n, float inverse, int offset, uint8_t* target) {
  I32 total = {};
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const I32 q = round_to_integers(load(x + i), inverse);
    total += q;
    const Narrow bytes = low_bytes(q + offset);
    __builtin_memcpy(target + i, &bytes, sizeof bytes);
  }
  int32_t sum = reduce_add(total);
  for (; i < n; ++i) {
    const int32_t q = round_to_integers(set1(x[i]), inverse)[0];
    sum += q;
    target[i] = static_cast<uint8_t>(q + offset);
  }
  return sum;
}

// Of a row or group: 0 where there is nothing but what has no finite inverse, NaN where a number is not
// finite.
inline float scale_of(const float* x, int64_t n) {
  const float scale = largest_of(x, n) / 127.0f;
  return scale < 1e-37f ? 0.0f : scale;
}
inline float inverse_of(float scale) { return scale > 0 ? 1.0f / scale : 0.0f; }

constexpr int64_t kQuadBytes = kSplitSigns ? 8 : 4;  // of a quad of activations

int64_t quantized_row_bytes(int64_t k) { return ((k + 3) / 4 + (kSplitSigns ? 1 : 0)) * kQuadBytes; }

// k numbers times inverse, to nearest: quads of magnitudes and signs, and the sum of the negative magnitudes.
inline void round_split(const float* x, int64_t k, float inverse, uint8_t* target) {
  I32 negative = {};
  for (int64_t i = 0; i < k; i += kWidth) {
    float last[kWidth] = {};
    const int64_t n = k - i < kWidth ? k - i : kWidth;
    if (n < kWidth) __builtin_memcpy(last, x + i, static_cast<size_t>(n) * sizeof(float));
    const I32 q = round_to_integers(load(n < kWidth ? last : x + i), inverse);
    const I32 sign = q >> 31, magnitude = (q ^ sign) - sign;
    negative += magnitude & sign;
    const Bytes bytes = split_quads(magnitude, sign);
    if (n == kWidth) {
      __builtin_memcpy(target + 2 * i, &bytes, sizeof bytes / 2);
    } else {
      __builtin_memcpy(target + 2 * i, &bytes, static_cast<size_t>((n + 3) / 4 * kQuadBytes));
    }
  }
  const int32_t sum = reduce_add(negative);
  __builtin_memcpy(target + (k + 3) / 4 * kQuadBytes, &sum, sizeof sum);
}

float quantize_row(const float* x, int64_t k, uint8_t* target) {
  const float scale = scale_of(x, k);
  if constexpr (kSplitSigns) {
    round_split(x, k, inverse_of(scale), target);
  } else {
    round_bytes(x, k, inverse_of(scale), kOffset, target);
    for (int64_t i = k; i % 4 != 0; ++i) target[i] = static_cast<uint8_t>(kOffset);
  }
  return scale;
}

void quantize_groups(const float* x, int64_t k, uint8_t* target, float* scales, float* sums) {
  for (int64_t g = 0; g * kGroup < k; ++g) {
    const float* group = x + g * kGroup;
    const int64_t n = k - g * kGroup < kGroup ? k - g * kGroup : kGroup;
    const float scale = scale_of(group, n);
    const int32_t sum = round_bytes(group, n, inverse_of(scale), 0, target + g * kGroup);
    for (int64_t i = n; i < kGroup; ++i) target[g * kGroup + i] = 0;
    scales[g] = scale;
    sums[g] = scale * static_cast<float>(sum);
  }
}

}  // namespace
