#pragma once
// Sizes of tiles, and square blocks turned around: what products of every kind share. See simd.h for the two
// macros.

#include "ops/cpu/simd.h"

namespace {

constexpr int kTileRows = VL3_TILE_ROWS;
constexpr int kTileVectors = 2;
constexpr int kTileColumns = kTileVectors * kWidth;

// A kWidth × kWidth block of rows[i][0..kWidth) written as columns: log2(kWidth) rounds of pairwise
// exchanges.
inline void transpose_block(F32 (&rows)[kWidth]) {
#pragma GCC unroll 5
  for (int step = 1; step < kWidth; step *= 2) {
    I32 low, high;
    for (int i = 0; i < kWidth; ++i) {
      const bool upper = (i & step) != 0;
      low[i] = upper ? kWidth + (i ^ step) : i;
      high[i] = upper ? kWidth + i : (i ^ step);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) {
      if ((i & step) != 0) continue;
      const F32 a = rows[i], b = rows[i | step];
#if defined(__clang__)
      F32 first, second;
      for (int j = 0; j < kWidth; ++j) {
        first[j] = low[j] < kWidth ? a[low[j]] : b[low[j] - kWidth];
        second[j] = high[j] < kWidth ? a[high[j]] : b[high[j] - kWidth];
      }
      rows[i] = first;
      rows[i | step] = second;
#else
      rows[i] = __builtin_shuffle(a, b, low);
      rows[i | step] = __builtin_shuffle(a, b, high);
#endif
    }
  }
}

}  // namespace
