#pragma once
// Rows of activations as bytes, for products with int8 and int4 weights: rotated and rounded group by group.

#include <utility>  // types alone

#include "ops/cpu/kernels/quad_dots_inl.h"

namespace {

// The lane each lane meets in a round of a Hadamard transform, and its own sign there. Constants by
// construction, as in blocks.h.
template <int kStep, int... kLane>
constexpr I32 partners(std::integer_sequence<int, kLane...>) {
  return I32{(kLane ^ kStep)...};
}
template <int kStep, int... kLane>
constexpr F32 lane_signs(std::integer_sequence<int, kLane...>) {
  return F32{((kLane & kStep) != 0 ? -1.0f : 1.0f)...};
}

// One round within a vector: lanes i and i + kStep become their sum and their difference.
template <int kStep>
inline F32 add_and_subtract_lanes(F32 v) {
  constexpr auto kLanes = std::make_integer_sequence<int, kWidth>();
  constexpr I32 kPartners = partners<kStep>(kLanes);
  constexpr F32 kSigns = lane_signs<kStep>(kLanes);
#if defined(__clang__)
  F32 partner;
  for (int i = 0; i < kWidth; ++i) partner[i] = v[kPartners[i]];
#else
  const F32 partner = __builtin_shuffle(v, kPartners);
#endif
  return fma(v, kSigns, partner);
}

// kVectors vectors, a power of two: their Hadamard transform, without its factor.
template <int kVectors>
inline void rotate_vectors(F32 (&v)[kVectors]) {
#pragma GCC unroll 64
  for (int i = 0; i < kVectors; ++i) {
    v[i] = add_and_subtract_lanes<1>(v[i]);
    v[i] = add_and_subtract_lanes<2>(v[i]);
    if constexpr (kWidth > 4) v[i] = add_and_subtract_lanes<4>(v[i]);
    if constexpr (kWidth > 8) v[i] = add_and_subtract_lanes<8>(v[i]);
  }
#pragma GCC unroll 6
  for (int step = 1; step < kVectors; step *= 2) {
#pragma GCC unroll 64
    for (int i = 0; i < kVectors; ++i) {
      if ((i & step) != 0) continue;
      const F32 a = v[i], b = v[i | step];
      v[i] = a + b;
      v[i | step] = a - b;
    }
  }
}

// kLength numbers in place, a power of two.
template <int kLength>
inline void rotate_piece(float* x) {
  constexpr float kFactor = kLength == 1     ? 1.0f
                            : kLength == 2   ? 0.7071067812f
                            : kLength == 4   ? 0.5f
                            : kLength == 8   ? 0.3535533906f
                            : kLength == 16  ? 0.25f
                            : kLength == 32  ? 0.1767766953f
                            : kLength == 64  ? 0.125f
                            : kLength == 128 ? 0.08838834765f
                                             : 0.0625f;
  static_assert(kLength <= 256);
  if constexpr (kLength >= kWidth) {
    F32 v[kLength / kWidth];
#pragma GCC unroll 64
    for (int i = 0; i < kLength / kWidth; ++i) v[i] = load(x + i * kWidth);
    rotate_vectors(v);
#pragma GCC unroll 64
    for (int i = 0; i < kLength / kWidth; ++i) store(x + i * kWidth, v[i] * kFactor);
  } else {
    for (int step = 1; step < kLength; step *= 2) {
      for (int i = 0; i < kLength; ++i) {
        if ((i & step) != 0) continue;
        const float a = x[i], b = x[i | step];
        x[i] = a + b;
        x[i | step] = a - b;
      }
    }
    for (int i = 0; i < kLength; ++i) x[i] *= kFactor;
  }
}

// n numbers in place, in pieces of powers of two up to kLength, the longest first.
template <int kLength>
inline void rotate_pieces(float* x, int64_t n) {
  if (n >= kLength) {
    rotate_piece<kLength>(x);
    x += kLength;
    n -= kLength;
  }
  if constexpr (kLength > 1) rotate_pieces<kLength / 2>(x, n);
}

// n ≤ kGroup numbers of a group, each times its multiplier → rotated, filled up with zeros to a whole group.
inline void rotate_group(const float* x, const float* multipliers, int64_t n, float* target) {
  if (n == kGroup) {
    for (int i = 0; i < kGroup; i += kWidth) store(target + i, load(x + i) * load(multipliers + i));
  } else {
    for (int64_t i = 0; i < kGroup; ++i) target[i] = i < n ? x[i] * multipliers[i] : 0.0f;
  }
  rotate_pieces<kGroup>(target, n);
}

// The largest magnitude of a group; NaN where a number is not finite.
inline float largest_of(const float* x) {
  F32 largest = {}, nothing = {};
  for (int i = 0; i < kGroup; i += kWidth) {
    const F32 v = load(x + i);
    largest = max(largest, max(v, -v));
    nothing += v - v;
  }
  return reduce_max(largest) + reduce_add(nothing);
}

// Of a group: 0 where there is nothing but what has no finite inverse, NaN where a number is not finite.
inline float scale_of(const float* x) {
  const float scale = largest_of(x) / 127.0f;
  return scale < 1e-37f ? 0.0f : scale;
}

// Numbers times inverse, to nearest.
inline I32 round_to_integers(F32 x, float inverse) {
  constexpr float kMagic = 12582912.0f;  // 1.5 · 2^23: the low bits hold the integer
  const F32 shifted = fma(x, set1(inverse), set1(kMagic));
  I32 q;
  __builtin_memcpy(&q, &shifted, sizeof q);
  return q - 0x4b400000;
}

// The low bytes of integers from -128 to 127.
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

// Sums are unsigned: what numbers that are not finite become may overflow, and the scale says so.
inline uint32_t reduce_add(U32 lanes) {
  uint32_t sum = 0;
  for (int lane = 0; lane < kWidth; ++lane) sum += lanes[lane];
  return sum;
}

constexpr int64_t kQuadBytes = kSplitSigns ? 8 : 4;  // of a quad of activations

int64_t quantized_row_bytes(int64_t k) { return (k + kPart - 1) / kPart * kPart / 4 * kQuadBytes; }

// A rotated group → bytes of `quads` quads; returns where the sums of its products with int8 weights begin.
inline int32_t round_group(const float* x, int64_t quads, float inverse, uint8_t* target) {
  U32 total = {};
  for (int64_t i = 0; i < 4 * quads; i += kWidth) {
    const I32 q = round_to_integers(load(x + i), inverse);
    if constexpr (kSplitSigns) {
      const I32 sign = q >> 31, magnitude = (q ^ sign) - sign;
      total += reinterpret_cast<U32>(magnitude & sign);
      const Bytes bytes = split_quads(magnitude, sign ^ -128);  // weights lie 128 above their value
      __builtin_memcpy(target + 2 * i, &bytes, sizeof bytes / 2);
    } else {
      total += reinterpret_cast<U32>(q);
      const Narrow bytes = low_bytes(q);
      __builtin_memcpy(target + i, &bytes, sizeof bytes);
    }
  }
  return static_cast<int32_t>(kSplitSigns ? reduce_add(total) : 0u - 128u * reduce_add(total));
}

void quantize_row(const float* x, const float* multipliers, int64_t k, uint8_t* target, float* scales,
                  int32_t* starts) {
  float rotated[kGroup];
  for (int64_t g = 0; g * kGroup < k; ++g) {
    const int64_t n = k - g * kGroup < kGroup ? k - g * kGroup : kGroup;
    rotate_group(x + g * kGroup, multipliers + g * kGroup, n, rotated);
    scales[g] = scale_of(rotated);
    starts[g] = round_group(rotated, (n + kPart - 1) / kPart * kPart / 4,
                            scales[g] > 0 ? 1.0f / scales[g] : 0.0f, target + g * kGroup / 4 * kQuadBytes);
  }
}

void quantize_parts(const float* x, const float* multipliers, int64_t k, uint8_t* target, float* scales,
                    int32_t* sums) {
  float rotated[kGroup];
  for (int64_t g = 0; g * kGroup < k; ++g) {
    const int64_t n = k - g * kGroup < kGroup ? k - g * kGroup : kGroup;
    rotate_group(x + g * kGroup, multipliers + g * kGroup, n, rotated);
    scales[g] = scale_of(rotated);
    const float inverse = scales[g] > 0 ? 1.0f / scales[g] : 0.0f;
    for (int64_t p = 0; p < n; p += kPart) {
      U32 total = {};
      for (int64_t i = p; i < p + kPart; i += kWidth) {
        const I32 q = round_to_integers(load(rotated + i), inverse);
        total += reinterpret_cast<U32>(q);
        const Narrow bytes = low_bytes(q);
        __builtin_memcpy(target + g * kGroup + i, &bytes, sizeof bytes);
      }
      sums[(g * kGroup + p) / kPart] = static_cast<int32_t>(reduce_add(total));
    }
  }
}

}  // namespace
