#pragma once
// Products of int8 and int4 weights with rows of int8, a row of W in each 32-bit lane. Written once.

#include "ops/cpu/kernels/kernels.h"
#include "ops/cpu/kernels/quantize_inl.h"

namespace {

constexpr int kBlockLanes = 16;                          // rows of W in a block
constexpr int kBlockVectors = kBlockLanes / kWidth;      // vectors that hold a quad of each
constexpr int kQuadBlocks = kBlockVectors == 1 ? 2 : 1;  // blocks of a tile
constexpr int kQuadVectors = kQuadBlocks * kBlockVectors;
constexpr int kQuadColumns = kQuadBlocks * kBlockLanes;
constexpr int64_t kPartQuads = kPart / 4, kGroupParts = kGroup / kPart;
constexpr int64_t kQuadLine = 4 * kBlockLanes;  // bytes of a quad of a block's rows
constexpr int64_t kInt4PartBytes = kPartQuads * kQuadLine / 2;
constexpr int kAhead = 4096;  // bytes of W: how far memory is asked ahead
// So few rows wait for memory, which is fastest in order: one block of W after the other, not two at once.
constexpr int kInOrderRows = 4;

// Where what belongs to a block's K lies (tensor/quantized.h), for so many parts.
struct BlockPlaces {
  int64_t parts, groups, codes, int8_body, int4_body;
  explicit BlockPlaces(int64_t all_parts)
      : parts(all_parts), groups((all_parts + kGroupParts - 1) / kGroupParts) {
    const auto whole_lines = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
    codes = groups * 2 * kBlockLanes;
    int8_body = whole_lines(codes);
    int4_body = whole_lines(codes + parts * kBlockLanes);
  }
};

// Writes a vector of columns, of which n are real.
inline void store_columns(float* c, F32 v, int64_t n) {
  if (n >= kWidth) return store(c, v);
  for (int64_t j = 0; j < n; ++j) c[j] = v[j];
}

// Where vector v of a tile finds what belongs to its rows.
template <int kVectors>
struct Columns {
  const uint8_t* block[kVectors];
  const uint8_t* body[kVectors];
  Columns(const uint8_t* blocks, int64_t block_bytes, int64_t body_at) {
    for (int v = 0; v < kVectors; ++v) {
      block[v] = blocks + v / kBlockVectors * block_bytes;
      body[v] = block[v] + body_at;
    }
  }
  static constexpr int part(int v) { return v % kBlockVectors * kWidth; }  // first lane of the block
  F32 scales(int v, int64_t group) const {
    return load_bf16(reinterpret_cast<const uint16_t*>(block[v]) + group * kBlockLanes + part(v));
  }
};

template <int kRows, int kVectors>
inline void tile_int8_of(const vl3::QuantizedRows& a, const Columns<kVectors>& w, const BlockPlaces& at,
                         int64_t n, float* c, int64_t ldc) {
  F32 total[kRows][kVectors] = {};
  const int64_t quads = at.parts * kPartQuads;
  for (int64_t g = 0; g < at.groups; ++g) {
    I32 sum[kRows][kVectors];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[i][v] = I32{} + a.starts[i * at.groups + g];
    }
    const int64_t first = g * kGroup / 4, last = first + kGroup / 4 < quads ? first + kGroup / 4 : quads;
    for (int64_t p = first; p < last; ++p) {
      I32 quad[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        quad[v] = load_as<I32>(w.body[v] + p * kQuadLine + 4 * w.part(v));
        if (w.part(v) == 0) __builtin_prefetch(w.body[v] + p * kQuadLine + kAhead, 0, 2);
      }
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const uint8_t* word = a.bytes + i * a.stride + kQuadBytes * p;
        const I32 x = word_at(word), sign = kSplitSigns ? word_at(word + 4) : I32{};
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v)
          sum[i][v] = dot_int8(sum[i][v], x, kSplitSigns ? quad[v] ^ sign : quad[v]);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const F32 scale = w.scales(v, g);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i)
        total[i][v] =
            fma(__builtin_convertvector(sum[i][v], F32), scale * a.scales[i * at.groups + g], total[i][v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) store_columns(c + i * ldc + v * kWidth, total[i][v], n - v * kWidth);
  }
}

template <int kRows>
void tile_int8_rows(const vl3::QuantizedRows& a, const uint8_t* blocks, int64_t block_bytes,
                    const BlockPlaces& at, int64_t m, int64_t n, float* c, int64_t ldc) {
  if (m == kRows) {
    if (n > kBlockLanes && kRows > kInOrderRows) {
      const Columns<kQuadVectors> w(blocks, block_bytes, at.int8_body);
      return tile_int8_of<kRows, kQuadVectors>(a, w, at, n, c, ldc);
    }
    for (int64_t j = 0; j < n; j += kBlockLanes) {
      const Columns<kBlockVectors> w(blocks + j / kBlockLanes * block_bytes, block_bytes, at.int8_body);
      tile_int8_of<kRows, kBlockVectors>(a, w, at, n - j, c + j, ldc);
    }
    return;
  }
  if constexpr (kRows > 1) tile_int8_rows<kRows - 1>(a, blocks, block_bytes, at, m, n, c, ldc);
}

void tile_int8(const vl3::QuantizedRows& a, const uint8_t* blocks, int64_t block_bytes, int64_t parts,
               int64_t m, int64_t n, float* c, int64_t ldc) {
  tile_int8_rows<kQuadRows>(a, blocks, block_bytes, BlockPlaces(parts), m, n, c, ldc);
}

// A vector of u8 as integers.
inline I32 widen_bytes(const uint8_t* p) {
#if defined(__AVX512F__) && VL3_SIMD_BYTES == 64
  return reinterpret_cast<I32>(
      _mm512_maskz_cvtepu8_epi32(0xffff, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(__AVX2__) && VL3_SIMD_BYTES == 32
  return reinterpret_cast<I32>(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  Narrow v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, I32);
#endif
}

// The halves of a vector's bytes, each in a byte of its own.
typedef uint16_t Halves __attribute__((vector_size(VL3_SIMD_BYTES)));
inline Bytes low_halves(Bytes both) { return both & 15; }
inline Bytes high_halves(Bytes both) {
  return reinterpret_cast<Bytes>(reinterpret_cast<Halves>(both) >> 4) & 15;
}

template <int kRows, int kVectors>
inline void tile_int4_of(const vl3::QuantizedRows& a, const Columns<kVectors>& w, const BlockPlaces& at,
                         int64_t n, float* c, int64_t ldc) {
  F32 total[kRows][kVectors] = {};
  for (int64_t g = 0; g < at.groups; ++g) {
    F32 whole[kRows][kVectors] = {};  // integers: sums of a group fit 24 bits
    const int64_t last = (g + 1) * kGroupParts < at.parts ? (g + 1) * kGroupParts : at.parts;
    for (int64_t p = g * kGroupParts; p < last; ++p) {
      GroupSum dots[kRows][kVectors] = {};
#pragma GCC unroll kUnrolled
      for (int j = 0; j < 4; ++j) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const uint8_t* at_bytes = w.body[v] + p * kInt4PartBytes + j * kQuadLine;
          const Bytes both = load_as<Bytes>(at_bytes + 4 * w.part(v));
          if (w.part(v) == 0) __builtin_prefetch(at_bytes + kAhead, 0, 2);
          const Bytes low = low_halves(both), high = high_halves(both);
#pragma GCC unroll 16
          for (int i = 0; i < kRows; ++i) {
            const uint8_t* row = a.bytes + i * a.stride + p * kPart + 4 * j;
            dots[i][v] = dot_int4(dot_int4(dots[i][v], word_at(row), low), word_at(row + 16), high);
          }
        }
      }
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const I32 code = widen_bytes(w.block[v] + at.codes + p * kBlockLanes + w.part(v));
        const F32 step = __builtin_convertvector(code & 15, F32),
                  zero = __builtin_convertvector(code >> 4, F32);
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
          const F32 product = __builtin_convertvector(group_total(dots[i][v]), F32);
          const F32 centred = fma(zero, set1(-static_cast<float>(a.starts[i * at.parts + p])), product);
          whole[i][v] = fma(centred, step, whole[i][v]);
        }
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const F32 scale = w.scales(v, g);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i)
        total[i][v] = fma(whole[i][v], scale * a.scales[i * at.groups + g], total[i][v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) store_columns(c + i * ldc + v * kWidth, total[i][v], n - v * kWidth);
  }
}

// Up to kRows rows.
template <int kRows, int kVectors>
void tile_int4_rows(const vl3::QuantizedRows& a, const Columns<kVectors>& w, const BlockPlaces& at, int64_t m,
                    int64_t n, float* c, int64_t ldc) {
  if (m >= kRows) return tile_int4_of<kRows, kVectors>(a, w, at, n, c, ldc);
  if constexpr (kRows > 1) tile_int4_rows<kRows - 1, kVectors>(a, w, at, m, n, c, ldc);
}

// One block after the other, or two at once, kRows rows at a time.
template <int kRows, int kVectors>
void tile_int4_blocks(vl3::QuantizedRows a, const uint8_t* blocks, int64_t block_bytes, const BlockPlaces& at,
                      int64_t m, int64_t n, float* c, int64_t ldc) {
  const Columns<kVectors> w(blocks, block_bytes, at.int4_body);
  for (; m > 0; m -= kRows) {
    tile_int4_rows<kRows>(a, w, at, m, n, c, ldc);
    a.bytes += kRows * a.stride;
    a.scales += kRows * at.groups;
    a.starts += kRows * at.parts;
    c += kRows * ldc;
  }
}

void tile_int4(const vl3::QuantizedRows& a, const uint8_t* blocks, int64_t block_bytes, int64_t parts,
               int64_t m, int64_t n, float* c, int64_t ldc) {
  const BlockPlaces at(parts);
  const auto tiles = [&]<int kRows, int kVectors>(int64_t j) {
    tile_int4_blocks<kRows, kVectors>(a, blocks + j / kBlockLanes * block_bytes, block_bytes, at, m, n - j,
                                      c + j, ldc);
    return j + kVectors * kWidth;
  };
  constexpr int kRows = 4;  // products of a part and sums must fit the registers
  int64_t j = 0;
  if constexpr (kInt4Rows > kRows) {  // in order, as above, and every weight is taken apart once for all rows
    while (j < n && m <= kInt4Rows) j = tiles.template operator()<kInt4Rows, kBlockVectors>(j);
  }
  while (j + kBlockLanes < n) j = tiles.template operator()<kRows, kQuadVectors>(j);
  while (j < n) j = tiles.template operator()<kRows, kBlockVectors>(j);
}

// An int4 block as an int8 block of the same numbers: q = step · (q4 - zero) fits 8 bits.
void int4_to_int8(const uint8_t* block, int64_t parts, uint8_t* target) {
  const BlockPlaces at(parts);
  __builtin_memcpy(target, block, static_cast<size_t>(at.codes));  // scales
  const uint8_t* body = block + at.int4_body;
  for (int64_t p = 0; p < parts; ++p) {
#pragma GCC unroll 4
    for (int lane = 0; lane < kBlockLanes; lane += kWidth) {
      const I32 code = widen_bytes(block + at.codes + p * kBlockLanes + lane);
      const I32 step = code & 15, zero = code >> 4;
      // Both in every half of a word: products of 16 bits are exact, and their low bytes are wanted.
      const Halves steps = reinterpret_cast<Halves>(step | step << 16);
      const Halves offset = 128 - reinterpret_cast<Halves>(zero | zero << 16) * steps;
      const auto scaled = [&](Bytes q) {
        const Halves even = reinterpret_cast<Halves>(q) & 255, odd = reinterpret_cast<Halves>(q) >> 8;
        return reinterpret_cast<Bytes>(((even * steps + offset) & 255) | (odd * steps + offset) << 8);
      };
      for (int j = 0; j < 4; ++j) {
        const Bytes both = load_as<Bytes>(body + p * kInt4PartBytes + j * kQuadLine + 4 * lane);
        const Bytes low = scaled(low_halves(both)), high = scaled(high_halves(both));
        uint8_t* quads = target + at.int8_body + (p * kPartQuads + j) * kQuadLine + 4 * lane;
        __builtin_memcpy(quads, &low, sizeof low);
        __builtin_memcpy(quads + 4 * kQuadLine, &high, sizeof high);
      }
    }
  }
}

}  // namespace
