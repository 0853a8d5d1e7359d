#pragma once
// Products of int8 and int4 weights with rows of int8: four products at once in every 32-bit lane, a row of W
// in each lane. Written once; the instruction that sums four products is chosen by what the including file is
// compiled for.

#include "ops/cpu/simd.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr int kBlockLanes = 16;                          // rows of W in a block
constexpr int kBlockVectors = kBlockLanes / kWidth;      // vectors that hold a quad of each
constexpr int kQuadBlocks = kBlockVectors == 1 ? 2 : 1;  // blocks of a tile
constexpr int kQuadVectors = kQuadBlocks * kBlockVectors;
constexpr int kQuadColumns = kQuadBlocks * kBlockLanes;
constexpr int kHeaderBytes = 2 * 4 * kBlockLanes;
constexpr int kGroup = 32;
constexpr int kGroupBytes = 2 * kBlockLanes + kBlockLanes * kGroup / 2;
constexpr int kAhead = 4096;  // bytes of W: how far memory is asked ahead
// So few rows wait for memory, which is fastest in order: one block of W after the other, not two at once.
constexpr int kInOrderRows = 4;

typedef uint8_t Bytes __attribute__((vector_size(VL3_SIMD_BYTES)));
typedef uint8_t Narrow __attribute__((vector_size(VL3_SIMD_BYTES / 4)));

inline Bytes load_bytes(const uint8_t* p) {
  Bytes v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline I32 load_words(const uint8_t* p) {
  I32 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline F32 load_floats(const uint8_t* p) {
  F32 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline I32 word_at(const uint8_t* p) {  // the same four bytes in every lane
  int32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  return I32{} + word;
}

// int8: sums of (activation) · (weight) over quads. kOffset is what activations are stored above their value.
// kSplitSigns: multiplications take bytes without a sign from one side, so activations are stored as
// magnitudes, each quad followed by the same quad of signs (all ones where negative). w with all bits turned
// is -w - 1, so a row's sums lack what its negative magnitudes add up to: that stands behind its quads.
// int4: sums over a group; weights are 0 to 15, activations signed. Where a sum and its products are separate
// instructions, GCC makes the products of all that is unrolled first, until the registers overflow.
#if defined(__AVX512VNNI__) && VL3_SIMD_BYTES == 64

constexpr int kQuadRows = 14;
constexpr int kOffset = 128;
constexpr bool kSplitSigns = false;
inline I32 dot_int8(I32 sum, I32 a, I32 w) {
  return reinterpret_cast<I32>(_mm512_dpbusd_epi32(
      reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(w)));
}
typedef I32 GroupSum;
inline GroupSum dot_int4(GroupSum sum, I32 a, Bytes w) { return dot_int8(sum, reinterpret_cast<I32>(w), a); }
inline I32 group_total(GroupSum sum) { return sum; }
constexpr int kUnrolled = 4;  // quarters of a group
constexpr int kInt4Rows = 8;  // of a tile of one block, at most

#elif defined(__AVX512BW__) && VL3_SIMD_BYTES == 64

constexpr int kQuadRows = 6;
constexpr int kOffset = 0;
constexpr bool kSplitSigns = true;
inline I32 dot_int8(I32 sum, I32 a, I32 w) {  // two products of 127 · 128 fit 16 bits
  return sum + reinterpret_cast<I32>(_mm512_madd_epi16(
                   _mm512_maddubs_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(w)),
                   _mm512_set1_epi16(1)));
}
typedef int16_t GroupSum __attribute__((vector_size(VL3_SIMD_BYTES)));
inline GroupSum dot_int4(GroupSum sum, I32 a, Bytes w) {  // eight times two products of 15 · 127 fit 16 bits
  return sum + reinterpret_cast<GroupSum>(
                   _mm512_maddubs_epi16(reinterpret_cast<__m512i>(w), reinterpret_cast<__m512i>(a)));
}
inline I32 group_total(GroupSum sum) {
  return reinterpret_cast<I32>(_mm512_madd_epi16(reinterpret_cast<__m512i>(sum), _mm512_set1_epi16(1)));
}
constexpr int kUnrolled = 1;
constexpr int kInt4Rows = 4;

#elif defined(__AVX2__) && VL3_SIMD_BYTES == 32

constexpr int kQuadRows = 4;
constexpr int kOffset = 0;
constexpr bool kSplitSigns = true;
inline I32 dot_int8(I32 sum, I32 a, I32 w) {  // as above
  return sum + reinterpret_cast<I32>(_mm256_madd_epi16(
                   _mm256_maddubs_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(w)),
                   _mm256_set1_epi16(1)));
}
typedef int16_t GroupSum __attribute__((vector_size(VL3_SIMD_BYTES)));
inline GroupSum dot_int4(GroupSum sum, I32 a, Bytes w) {
  return sum + reinterpret_cast<GroupSum>(
                   _mm256_maddubs_epi16(reinterpret_cast<__m256i>(w), reinterpret_cast<__m256i>(a)));
}
inline I32 group_total(GroupSum sum) {
  return reinterpret_cast<I32>(_mm256_madd_epi16(reinterpret_cast<__m256i>(sum), _mm256_set1_epi16(1)));
}
constexpr int kUnrolled = 1;
constexpr int kInt4Rows = 4;

#else

constexpr int kQuadRows = 4;
constexpr int kOffset = 0;
constexpr bool kSplitSigns = false;
typedef int8_t SignedBytes __attribute__((vector_size(VL3_SIMD_BYTES)));
typedef I32 GroupSum;
// Byte b of every word, with its sign.
template <int kByte>
inline I32 byte_of(I32 words) {
  return (words << (24 - 8 * kByte)) >> 24;
}
inline I32 dot_int8(I32 sum, I32 a, I32 w) {
  return sum + byte_of<0>(a) * byte_of<0>(w) + byte_of<1>(a) * byte_of<1>(w) + byte_of<2>(a) * byte_of<2>(w) +
         byte_of<3>(a) * byte_of<3>(w);
}
inline GroupSum dot_int4(GroupSum sum, I32 a, Bytes w) { return dot_int8(sum, a, reinterpret_cast<I32>(w)); }
inline I32 group_total(GroupSum sum) { return sum; }
constexpr int kUnrolled = 1;
constexpr int kInt4Rows = 4;

#endif

// ---- rows of activations

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

// n numbers times inverse, to nearest, as bytes above offset. Returns their sum, without the offset.
inline int32_t round_bytes(const float* x, int64_t n, float inverse, int offset, uint8_t* target) {
  constexpr float kMagic = 12582912.0f;  // 1.5 · 2^23: the low bits hold the integer
  I32 total = {};
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const F32 shifted = fma(load(x + i), set1(inverse), set1(kMagic));
    I32 q;
    __builtin_memcpy(&q, &shifted, sizeof q);
    q -= 0x4b400000;
    total += q;
    const Narrow bytes = __builtin_convertvector(q + offset, Narrow);
    __builtin_memcpy(target + i, &bytes, sizeof bytes);
  }
  int32_t sum = 0;
  for (int lane = 0; lane < kWidth; ++lane) sum += total[lane];
  for (; i < n; ++i) {
    const F32 shifted = fma(set1(x[i]), set1(inverse), set1(kMagic));
    I32 q;
    __builtin_memcpy(&q, &shifted, sizeof q);
    sum += q[0] - 0x4b400000;
    target[i] = static_cast<uint8_t>(q[0] - 0x4b400000 + offset);
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
  alignas(64) uint8_t bytes[kWidth];
  int32_t negative = 0;
  for (int64_t i = 0; i < k; i += kWidth) {
    const int64_t n = k - i < kWidth ? k - i : kWidth;
    round_bytes(x + i, n, inverse, 0, bytes);
    for (int64_t j = n; j % 4 != 0; ++j) bytes[j] = 0;
    for (int64_t j = 0; j < n; j += 4) {
      uint32_t values, signs, magnitudes;
      __builtin_memcpy(&values, bytes + j, 4);
      signs = ((values >> 7) & 0x01010101U) * 0xffU;
      magnitudes = (values ^ signs) + (signs & 0x01010101U);  // none is -128
      __builtin_memcpy(target + 2 * (i + j), &magnitudes, 4);
      __builtin_memcpy(target + 2 * (i + j) + 4, &signs, 4);
      const uint32_t counted = magnitudes & signs;
      const uint32_t halves = (counted & 0x00ff00ffU) + ((counted >> 8) & 0x00ff00ffU);
      negative += static_cast<int32_t>((halves & 0xffffU) + (halves >> 16));
    }
  }
  __builtin_memcpy(target + (k + 3) / 4 * kQuadBytes, &negative, sizeof negative);
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

// ---- tiles

// Writes a vector of columns, of which n are real.
inline void store_columns(float* c, F32 v, int64_t n) {
  if (n >= kWidth) return store(c, v);
  for (int64_t j = 0; j < n; ++j) c[j] = v[j];
}

// Where vector v of a tile finds a quad of its rows.
template <int kVectors>
struct Columns {
  const uint8_t* header[kVectors];  // scales; sums or minimums kHeaderBytes / 2 behind
  const uint8_t* body[kVectors];    // quads or groups
  Columns(const uint8_t* blocks, int64_t block_bytes) {
    for (int v = 0; v < kVectors; ++v) {
      const uint8_t* block = blocks + v / kBlockVectors * block_bytes;
      header[v] = block + v % kBlockVectors * kWidth * 4;
      body[v] = block + kHeaderBytes;
    }
  }
  static constexpr int part(int v) { return v % kBlockVectors * kWidth; }  // first lane of the block
};

template <int kRows, int kVectors>
inline void tile_int8_of(const uint8_t* a, int64_t lda, const float* scales, const Columns<kVectors>& w,
                         int64_t n, int64_t quads, float* c, int64_t ldc) {
  I32 sum[kRows][kVectors] = {};
  if constexpr (kSplitSigns) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[i][v] = word_at(a + i * lda + kQuadBytes * quads);
    }
  }
  for (int64_t p = 0; p < quads; ++p) {
    I32 quad[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      quad[v] = load_words(w.body[v] + p * 4 * kBlockLanes + 4 * w.part(v));
      if (w.part(v) == 0) __builtin_prefetch(w.body[v] + p * 4 * kBlockLanes + kAhead, 0, 2);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const uint8_t* at = a + i * lda + kQuadBytes * p;
      const I32 x = word_at(at), sign = kSplitSigns ? word_at(at + 4) : I32{};
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sum[i][v] = dot_int8(sum[i][v], x, kSplitSigns ? quad[v] ^ sign : quad[v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const F32 scale = load_floats(w.header[v]);
    const I32 offset = load_words(w.header[v] + kHeaderBytes / 2) * kOffset;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const F32 y = __builtin_convertvector(sum[i][v] - offset, F32) * (scale * scales[i]);
      store_columns(c + i * ldc + v * kWidth, y, n - v * kWidth);
    }
  }
}

template <int kRows>
void tile_int8_rows(const uint8_t* a, int64_t lda, const float* scales, const uint8_t* blocks,
                    int64_t block_bytes, int64_t m, int64_t n, int64_t quads, float* c, int64_t ldc) {
  if (m == kRows) {
    if (n > kBlockLanes && kRows > kInOrderRows) {
      const Columns<kQuadVectors> w(blocks, block_bytes);
      return tile_int8_of<kRows, kQuadVectors>(a, lda, scales, w, n, quads, c, ldc);
    }
    for (int64_t j = 0; j < n; j += kBlockLanes) {
      const Columns<kBlockVectors> w(blocks + j / kBlockLanes * block_bytes, block_bytes);
      tile_int8_of<kRows, kBlockVectors>(a, lda, scales, w, n - j, quads, c + j, ldc);
    }
    return;
  }
  if constexpr (kRows > 1)
    tile_int8_rows<kRows - 1>(a, lda, scales, blocks, block_bytes, m, n, quads, c, ldc);
}

void tile_int8(const uint8_t* a, int64_t lda, const float* scales, const uint8_t* blocks, int64_t block_bytes,
               int64_t m, int64_t n, int64_t quads, float* c, int64_t ldc) {
  tile_int8_rows<kQuadRows>(a, lda, scales, blocks, block_bytes, m, n, quads, c, ldc);
}

// A vector of u8 as f32.
inline F32 widen_bytes(const uint8_t* p) {
#if defined(__AVX512F__) && VL3_SIMD_BYTES == 64
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return __builtin_convertvector(reinterpret_cast<I32>(_mm512_cvtepu8_epi32(bytes)), F32);
#elif defined(__AVX2__) && VL3_SIMD_BYTES == 32
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return __builtin_convertvector(reinterpret_cast<I32>(_mm256_cvtepu8_epi32(bytes)), F32);
#else
  Narrow v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(__builtin_convertvector(v, I32), F32);
#endif
}

template <int kRows, int kVectors>
inline void tile_int4_of(const uint8_t* a, int64_t lda, const float* scales, const float* sums,
                         const Columns<kVectors>& w, int64_t n, int64_t groups, float* c, int64_t ldc) {
  F32 sum[kRows][kVectors] = {};
  for (int64_t g = 0; g < groups; ++g) {
    GroupSum dots[kRows][kVectors] = {};
#pragma GCC unroll kUnrolled
    for (int j = 0; j < 4; ++j) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const Bytes both =
            load_bytes(w.body[v] + g * kGroupBytes + 2 * kBlockLanes + (j * kBlockLanes + w.part(v)) * 4);
        if (w.part(v) == 0)
          __builtin_prefetch(w.body[v] + g * kGroupBytes + j * 4 * kBlockLanes + kAhead, 0, 2);
        const Bytes low = both & 15;
        typedef uint16_t Halves __attribute__((vector_size(VL3_SIMD_BYTES)));
        const Bytes high = reinterpret_cast<Bytes>(reinterpret_cast<Halves>(both) >> 4) & 15;
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
          const uint8_t* row = a + i * lda + g * kGroup + 4 * j;
          dots[i][v] = dot_int4(dot_int4(dots[i][v], word_at(row), low), word_at(row + 16), high);
        }
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const F32 scale = load_floats(w.header[v]) * widen_bytes(w.body[v] + g * kGroupBytes + w.part(v));
      const F32 minimum = load_floats(w.header[v] + kHeaderBytes / 2) *
                          widen_bytes(w.body[v] + g * kGroupBytes + kBlockLanes + w.part(v));
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const F32 product = __builtin_convertvector(group_total(dots[i][v]), F32);
        sum[i][v] = fma(product, scale * scales[i * groups + g], sum[i][v]);
        sum[i][v] -= minimum * set1(sums[i * groups + g]);
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) store_columns(c + i * ldc + v * kWidth, sum[i][v], n - v * kWidth);
  }
}

// Up to kRows rows.
template <int kRows, int kVectors>
void tile_int4_rows(const uint8_t* a, int64_t lda, const float* scales, const float* sums,
                    const Columns<kVectors>& w, int64_t m, int64_t n, int64_t groups, float* c, int64_t ldc) {
  if (m >= kRows) return tile_int4_of<kRows, kVectors>(a, lda, scales, sums, w, n, groups, c, ldc);
  if constexpr (kRows > 1) tile_int4_rows<kRows - 1, kVectors>(a, lda, scales, sums, w, m, n, groups, c, ldc);
}

// One block after the other, or two at once, kRows rows at a time.
template <int kRows, int kVectors>
void tile_int4_blocks(const uint8_t* a, int64_t lda, const float* scales, const float* sums,
                      const uint8_t* blocks, int64_t block_bytes, int64_t m, int64_t n, int64_t groups,
                      float* c, int64_t ldc) {
  const Columns<kVectors> w(blocks, block_bytes);
  for (int64_t i = 0; i < m; i += kRows) {
    tile_int4_rows<kRows>(a + i * lda, lda, scales + i * groups, sums + i * groups, w, m - i, n, groups,
                          c + i * ldc, ldc);
  }
}

void tile_int4(const uint8_t* a, int64_t lda, const float* scales, const float* sums, const uint8_t* blocks,
               int64_t block_bytes, int64_t m, int64_t n, int64_t groups, float* c, int64_t ldc) {
  const auto tiles = [=]<int kRows, int kVectors>(int64_t j) {
    tile_int4_blocks<kRows, kVectors>(a, lda, scales, sums, blocks + j / kBlockLanes * block_bytes,
                                      block_bytes, m, n - j, groups, c + j, ldc);
    return j + kVectors * kWidth;
  };
  constexpr int kRows = 4;  // products of a group and sums must fit the registers
  int64_t j = 0;
  if constexpr (kInt4Rows > kRows) {  // in order, as above, and every weight is taken apart once for all rows
    while (j < n && m <= kInt4Rows) j = tiles.template operator()<kInt4Rows, kBlockVectors>(j);
  }
  while (j + kBlockLanes < n) j = tiles.template operator()<kRows, kQuadVectors>(j);
  while (j < n) j = tiles.template operator()<kRows, kBlockVectors>(j);
}

}  // namespace
