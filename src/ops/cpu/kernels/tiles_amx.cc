// Products of bf16 pairs and of int8 quads on the tile registers of AMX: 16 × 16 sums grow by 16 words of
// depth at once. Packed pairs and int8 blocks already lie as those registers want them.

#include "ops/cpu/kernels/tables.h"

#if defined(__AMX_TILE__) || defined(__AMXTILE__)  // clang 14 writes it so

#include <immintrin.h>

#define VL3_SIMD_BYTES 64
#define VL3_TILE_ROWS 32
#include "ops/cpu/kernels/blocks.h"

namespace {

constexpr int kSide = 16;                            // rows of a register, and words of a row
constexpr int64_t kGroupWords = 64, kPartWords = 8;  // of int8 rows: 256 and 32 numbers
constexpr int kFewRows = 4;  // of int8, which wait for memory: AVX512_VNNI streams the weights faster

enum class Words { kPairs, kQuads };

// What the intrinsics of GCC 12 leave out: that they read and write memory.
inline void memory_is_used(const void* at) { asm volatile("" : : "r"(at) : "memory"); }

// The registers, for m ≤ 32 rows: 0 to 3 are the sums of the quarters of a 32 × 32 tile, row by row; 4 and 5
// the upper and the lower rows of A; 6 and 7 the left and the right columns of B. They are released on the
// way out, since what is in use is saved whenever a thread is interrupted.
class Registers {
 public:
  explicit Registers(int64_t m) {
    alignas(64) Config config = {};
    config.palette = 1;
    const auto upper = static_cast<uint8_t>(m < kSide ? m : kSide), lower = static_cast<uint8_t>(m - upper);
    const uint8_t rows[8] = {upper, upper, lower, lower, upper, lower, kSide, kSide};
    for (int i = 0; i < 8; ++i) {
      config.rows[i] = rows[i] == 0 ? 1 : rows[i];
      config.row_bytes[i] = 64;
    }
    memory_is_used(&config);
    _tile_loadconfig(&config);
  }
  ~Registers() { _tile_release(); }
  Registers(const Registers&) = delete;
  Registers& operator=(const Registers&) = delete;

 private:
  struct Config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
  static_assert(sizeof(Config) == 64);
};

// A [m][words] with a row stride of lda words, and columns of B in groups of 16 with a stride of ldb words.
struct Operands {
  const uint32_t* a;
  int64_t lda;
  const uint32_t* b[2];
  int64_t ldb;
};

template <Words kWords, bool kLower, bool kRight>
inline void multiply(const Operands& x) {
  const int64_t a_bytes = x.lda * 4, b_bytes = x.ldb * 4;
  memory_is_used(x.a);
  _tile_loadd(4, x.a, a_bytes);
  _tile_loadd(6, x.b[0], b_bytes);
  if constexpr (kLower) _tile_loadd(5, x.a + kSide * x.lda, a_bytes);
  if constexpr (kRight) _tile_loadd(7, x.b[1], b_bytes);
  if constexpr (kWords == Words::kPairs) {
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kRight) _tile_dpbf16ps(1, 4, 7);
    if constexpr (kLower) _tile_dpbf16ps(2, 5, 6);
    if constexpr (kLower && kRight) _tile_dpbf16ps(3, 5, 7);
  } else {
    _tile_dpbsud(0, 4, 6);
    if constexpr (kRight) _tile_dpbsud(1, 4, 7);
    if constexpr (kLower) _tile_dpbsud(2, 5, 6);
    if constexpr (kLower && kRight) _tile_dpbsud(3, 5, 7);
  }
}

// Copies 16 words of each of n rows, of which real are read and the others zero.
inline void copy_words(const uint32_t* source, int64_t ld, int64_t n, int64_t real, uint32_t* target) {
  const __mmask16 mask = static_cast<__mmask16>((1u << real) - 1);
  for (int64_t i = 0; i < n; ++i)
    _mm512_store_si512(target + i * kSide, _mm512_maskz_loadu_epi32(mask, source + i * ld));
}

// Sums over all words of A and B: of 16 words at once, and the last ones filled up with zeros. kTransposed: A
// lies as [words][m].
template <Words kWords, bool kTransposed, bool kLower, bool kRight>
inline void multiply_all(Operands x, int64_t m, int64_t words) {
  alignas(64) uint32_t rows[2 * kSide * kSide], columns[2][kSide * kSide];
  const int64_t a_step = kTransposed ? x.lda * kSide : kSide, whole = words / kSide * kSide;
  for (int64_t p = 0; p < words; p += kSide) {
    const int64_t real = words - p < kSide ? words - p : kSide;
    Operands block = x;
    if constexpr (kTransposed) {
      for (int64_t half = 0; half < (kLower ? 2 : 1); ++half) {
        const int64_t first = half * kSide, count = m - first < kSide ? m - first : kSide;
        const __mmask16 mask = static_cast<__mmask16>((1u << count) - 1);
        F32 square[kSide] = {};
        for (int64_t i = 0; i < real; ++i)
          square[i] = reinterpret_cast<F32>(_mm512_maskz_loadu_ps(mask, x.a + i * x.lda + first));
        transpose_block(square);
        for (int64_t i = 0; i < kSide; ++i)
          __builtin_memcpy(rows + (first + i) * kSide, &square[i], sizeof square[i]);
      }
    } else if (p == whole) {
      copy_words(x.a, x.lda, m, real, rows);
    }
    if (kTransposed || p == whole) {
      block.a = rows;
      block.lda = kSide;
    }
    if (p == whole) {
      for (int64_t v = 0; v < (kRight ? 2 : 1); ++v) {
        copy_words(x.b[v], x.ldb, real, kSide, columns[v]);
        for (int64_t i = real; i < kSide; ++i)
          _mm512_store_si512(columns[v] + i * kSide, _mm512_setzero_si512());
        block.b[v] = columns[v];
      }
      block.ldb = kSide;
    }
    multiply<kWords, kLower, kRight>(block);
    x.a += a_step;
    for (const uint32_t*& b : x.b) b += kSide * x.ldb;
  }
}

// Sums of m ≤ 32 rows and 16 or 32 columns, from c (accumulate) or zero, to c with a row stride of ldc words.
template <Words kWords, bool kTransposed, bool kLower, bool kRight>
inline void tile_quarters(const Operands& x, int64_t m, int64_t words, void* c, int64_t ldc,
                          bool accumulate) {
  const Registers registers(m);
  const int64_t bytes = ldc * 4;
  char* upper = static_cast<char*>(c);
  char* lower = upper + kSide * bytes;
  memory_is_used(c);
  if (accumulate) {
    _tile_loadd(0, upper, bytes);
    if constexpr (kRight) _tile_loadd(1, upper + 64, bytes);
    if constexpr (kLower) _tile_loadd(2, lower, bytes);
    if constexpr (kLower && kRight) _tile_loadd(3, lower + 64, bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  multiply_all<kWords, kTransposed, kLower, kRight>(x, m, words);
  _tile_stored(0, upper, bytes);
  if constexpr (kRight) _tile_stored(1, upper + 64, bytes);
  if constexpr (kLower) _tile_stored(2, lower, bytes);
  if constexpr (kLower && kRight) _tile_stored(3, lower + 64, bytes);
  memory_is_used(c);
}

template <Words kWords, bool kTransposed>
inline void tile_words(const Operands& x, int64_t m, int64_t n, int64_t words, void* c, int64_t ldc,
                       bool accumulate) {
  if (m > kSide && n > kSide)
    tile_quarters<kWords, kTransposed, true, true>(x, m, words, c, ldc, accumulate);
  else if (m > kSide)
    tile_quarters<kWords, kTransposed, true, false>(x, m, words, c, ldc, accumulate);
  else if (n > kSide)
    tile_quarters<kWords, kTransposed, false, true>(x, m, words, c, ldc, accumulate);
  else
    tile_quarters<kWords, kTransposed, false, false>(x, m, words, c, ldc, accumulate);
}

template <bool kTransposed>
void tile_pairs(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t m, int64_t n,
                int64_t pairs, float* c, int64_t ldc, bool accumulate) {
  const Operands x = {a, lda, {b, b + kSide}, ldb};
  if (n % kSide == 0) return tile_words<Words::kPairs, kTransposed>(x, m, n, pairs, c, ldc, accumulate);
  alignas(64) float sums[kTileRows * kTileColumns];
  for (int64_t i = 0; accumulate && i < m; ++i) {
    for (int64_t j = 0; j < kTileColumns; ++j) sums[i * kTileColumns + j] = j < n ? c[i * ldc + j] : 0;
  }
  tile_words<Words::kPairs, kTransposed>(x, m, n, pairs, sums, kTileColumns, accumulate);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = sums[i * kTileColumns + j];
  }
}

// Sums of a group at a time, while the vectors bring those of the group before it to f32.
void tile_int8(const vl3::QuantizedRows& a, const uint8_t* blocks, int64_t block_bytes, int64_t parts,
               int64_t m, int64_t n, float* c, int64_t ldc) {
  const int64_t halves = n > kSide ? 2 : 1;
  if (m <= kFewRows) {  // the same integers and roundings
    for (int64_t v = 0; v < halves; ++v) {
      const int64_t left = n - v * kSide;
      vl3::tile_int8_avx512vnni(a, blocks + v * block_bytes, block_bytes, parts, m,
                                left < kSide ? left : kSide, c + v * kSide, ldc);
    }
    return;
  }
  const int64_t words = parts * kPartWords, groups = (words + kGroupWords - 1) / kGroupWords;
  const int64_t body = (groups * 2 * kSide + 63) / 64 * 64;
  const auto quads = [&](int64_t half, int64_t word) {
    return reinterpret_cast<const uint32_t*>(blocks + half * block_bytes + body) + word * kSide;
  };
  alignas(64) int32_t sums[kTileRows * kTileColumns];
  alignas(64) F32 totals[kTileRows][kTileColumns / kSide] = {};
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t first = g * kGroupWords, count = words - first < kGroupWords ? words - first : kGroupWords;
    const Operands x = {reinterpret_cast<const uint32_t*>(a.bytes) + first,
                        a.stride / 4,
                        {quads(0, first), quads(halves - 1, first)},
                        kSide};
    tile_words<Words::kQuads, false>(x, m, n, count, sums, kTileColumns, false);
    for (int64_t v = 0; v < halves; ++v) {
      const F32 scale = load_bf16(reinterpret_cast<const uint16_t*>(blocks + v * block_bytes) + g * kSide);
      for (int64_t i = 0; i < m; ++i) {
        const I32 sum = load_as<I32>(sums + i * kTileColumns + v * kSide) + a.starts[i * groups + g];
        totals[i][v] = fma(__builtin_convertvector(sum, F32), scale * a.scales[i * groups + g], totals[i][v]);
      }
    }
  }
  for (int64_t v = 0; v < halves; ++v) {
    const int64_t left = n - v * kSide;
    const __mmask16 real = left >= kSide ? 0xffff : static_cast<__mmask16>((1u << left) - 1);
    for (int64_t i = 0; i < m; ++i)
      _mm512_mask_storeu_ps(c + i * ldc + v * kSide, real, reinterpret_cast<__m512>(totals[i][v]));
  }
}

template <Words kWords>
int64_t spin_tiles(int64_t rounds) {
  const Registers registers(kTileRows);
  for (int64_t r = 0; r < rounds / kSide;
       ++r) {  // a round of the other kernels is as short as a row of these
    if constexpr (kWords == Words::kPairs) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    } else {
      _tile_dpbsud(0, 4, 6);
      _tile_dpbsud(1, 4, 7);
      _tile_dpbsud(2, 5, 6);
      _tile_dpbsud(3, 5, 7);
    }
  }
  return rounds / kSide * kTileRows * kTileColumns * kSide * (kWords == Words::kPairs ? 4 : 8);
}

}  // namespace

namespace vl3 {

void use_amx(KernelSet& set) noexcept {
  set.name = "amx";
  set.pair_rows = kTileRows;
  set.tile_pairs = tile_pairs<false>;
  set.tile_pairs_transposed = tile_pairs<true>;
  set.quad_rows = kTileRows;
  set.quad_columns = kTileColumns;
  set.tile_int8 = tile_int8;
  set.peak_fma_bf16 = spin_tiles<Words::kPairs>;
  set.peak_fma_int8 = spin_tiles<Words::kQuads>;
}

}  // namespace vl3

#endif
