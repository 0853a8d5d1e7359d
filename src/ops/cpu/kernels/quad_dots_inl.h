#pragma once
// What sums four products at once in every 32-bit lane: chosen by what the including file is compiled for.

#include "ops/cpu/kernels/simd.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr int kGroup = 256;  // numbers along K that share a scale (tensor/quantized.h)
constexpr int kPart = 32;    // of a group: those of int4 weights that share a step and a zero

typedef uint8_t Bytes __attribute__((vector_size(VL3_SIMD_BYTES)));
typedef uint8_t Narrow __attribute__((vector_size(VL3_SIMD_BYTES / 4)));

inline I32 word_at(const uint8_t* p) {  // the same four bytes in every lane
  return I32{} + load_as<int32_t>(p);
}

// int8: sums of (activation) · (weight) over quads; weights lie 128 above their value, so that sums begin
// with what that makes too much. kSplitSigns: multiplications take bytes without a sign from one side, so
// activations are stored as magnitudes, each quad followed by the quad that makes of weights as they lie
// weights with the activations' signs: w with all bits inverted is -w - 1, so sums begin with what negative
// magnitudes add up to.
// int4: sums over a part; weights are 0 to 15, activations signed. Where a sum and its products are separate
// instructions, GCC makes the products of all that is unrolled first, until the registers overflow.
#if defined(__AVX512VNNI__) && VL3_SIMD_BYTES == 64

constexpr int kQuadRows = 14;
constexpr bool kSplitSigns = false;
inline Bytes split_quads(I32, I32) { return Bytes{}; }
inline I32 dot_int8(I32 sum, I32 a, I32 w) {
  return reinterpret_cast<I32>(_mm512_dpbusd_epi32(
      reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(w), reinterpret_cast<__m512i>(a)));
}
typedef I32 GroupSum;
inline GroupSum dot_int4(GroupSum sum, I32 a, Bytes w) { return dot_int8(sum, a, reinterpret_cast<I32>(w)); }
inline I32 group_total(GroupSum sum) { return sum; }
constexpr int kUnrolled = 4;  // quarters of a part
constexpr int kInt4Rows = 8;  // of a tile of one block, at most

#elif (defined(__AVX512BW__) && VL3_SIMD_BYTES == 64) || (defined(__AVX2__) && VL3_SIMD_BYTES == 32)

typedef int16_t Words __attribute__((vector_size(VL3_SIMD_BYTES)));
#if VL3_SIMD_BYTES == 64
constexpr int kQuadRows = 6;
inline Words multiply_bytes(I32 a, I32 w) {  // without a sign, with one: sums of two products
  return reinterpret_cast<Words>(
      _mm512_maddubs_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(w)));
}
inline I32 add_pairs(Words v) {
  return reinterpret_cast<I32>(_mm512_madd_epi16(reinterpret_cast<__m512i>(v), _mm512_set1_epi16(1)));
}
inline Bytes split_quads(I32 magnitude, I32 sign) {  // in the lower half: quads of the one and of the other
  const __m512i words =
      _mm512_packs_epi32(reinterpret_cast<__m512i>(magnitude), reinterpret_cast<__m512i>(sign));
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 0, 0, 0, 0);
  return reinterpret_cast<Bytes>(_mm512_permutexvar_epi64(order, _mm512_packs_epi16(words, words)));
}
#else
constexpr int kQuadRows = 4;
inline Words multiply_bytes(I32 a, I32 w) {
  return reinterpret_cast<Words>(
      _mm256_maddubs_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(w)));
}
inline I32 add_pairs(Words v) {
  return reinterpret_cast<I32>(_mm256_madd_epi16(reinterpret_cast<__m256i>(v), _mm256_set1_epi16(1)));
}
inline Bytes split_quads(I32 magnitude, I32 sign) {
  const __m256i words =
      _mm256_packs_epi32(reinterpret_cast<__m256i>(magnitude), reinterpret_cast<__m256i>(sign));
  return reinterpret_cast<Bytes>(_mm256_permute4x64_epi64(_mm256_packs_epi16(words, words), 0x08));
}
#endif
constexpr bool kSplitSigns = true;
inline I32 dot_int8(I32 sum, I32 a, I32 w) {  // two products of 127 · 128 fit 16 bits
  return sum + add_pairs(multiply_bytes(a, w));
}
typedef Words GroupSum;
inline GroupSum dot_int4(GroupSum sum, I32 a, Bytes w) {  // eight times two products of 15 · 127 fit 16 bits
  return sum + multiply_bytes(reinterpret_cast<I32>(w), a);
}
inline I32 group_total(GroupSum sum) { return add_pairs(sum); }
constexpr int kUnrolled = 1;
constexpr int kInt4Rows = 4;

#else

constexpr int kQuadRows = 4;
constexpr bool kSplitSigns = false;
inline Bytes split_quads(I32, I32) { return Bytes{}; }
typedef int8_t SignedBytes __attribute__((vector_size(VL3_SIMD_BYTES)));
typedef I32 GroupSum;
// Byte b of every word, with its sign.
template <int kByte>
inline I32 byte_of(I32 words) {
  return (words << (24 - 8 * kByte)) >> 24;
}
// ... and without one.
template <int kByte>
inline I32 unsigned_byte_of(I32 words) {
  return (words >> (8 * kByte)) & 255;
}
inline I32 dot_int8(I32 sum, I32 a, I32 w) {
  return sum + byte_of<0>(a) * unsigned_byte_of<0>(w) + byte_of<1>(a) * unsigned_byte_of<1>(w) +
         byte_of<2>(a) * unsigned_byte_of<2>(w) + byte_of<3>(a) * unsigned_byte_of<3>(w);
}
inline GroupSum dot_int4(GroupSum sum, I32 a, Bytes w) { return dot_int8(sum, a, reinterpret_cast<I32>(w)); }
inline I32 group_total(GroupSum sum) { return sum; }
constexpr int kUnrolled = 1;
constexpr int kInt4Rows = 4;

#endif

}  // namespace
