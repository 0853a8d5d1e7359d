#pragma once
// Products of int8 and int4 weights with rows of int8, a row of W in each 32-bit lane. Written once.

#include "ops/cpu/quantize_inl.h"

namespace {

constexpr int kBlockLanes = 16;                          // rows of W in a block
constexpr int kBlockVectors = kBlockLanes / kWidth;      // vectors that hold a quad of each
constexpr int kQuadBlocks = kBlockVectors == 1 ? 2 : 1;  // blocks of a tile
constexpr int kQuadVectors = kQuadBlocks * kBlockVectors;
constexpr int kQuadColumns = kQuadBlocks * kBlockLanes;
constexpr int kHeaderBytes = 2 * 4 * kBlockLanes;
constexpr int kGroupBytes = 2 * kBlockLanes + kBlockLanes * kGroup / 2;
constexpr int kAhead = 4096;  // bytes of W: how far memory is asked ahead
// So few rows wait for memory, which is fastest in order: one block of W after the other, not two at once.
constexpr int kInOrderRows = 4;

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
      quad[v] = load_as<I32>(w.body[v] + p * 4 * kBlockLanes + 4 * w.part(v));
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
    const F32 scale = load_as<F32>(w.header[v]);
    const I32 offset = load_as<I32>(w.header[v] + kHeaderBytes / 2) * kOffset;
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
            load_as<Bytes>(w.body[v] + g * kGroupBytes + 2 * kBlockLanes + (j * kBlockLanes + w.part(v)) * 4);
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
      const F32 scale = load_as<F32>(w.header[v]) * widen_bytes(w.body[v] + g * kGroupBytes + w.part(v));
      const F32 minimum = load_as<F32>(w.header[v] + kHeaderBytes / 2) *
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
