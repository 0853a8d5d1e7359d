#pragma once
// Sizes of tiles, and square blocks transposed: what products of every kind share. See simd.h for the two
// macros.

#include <utility>  // types alone

#include "ops/cpu/kernels/simd.h"

namespace {

constexpr int kTileRows = VL3_TILE_ROWS;
constexpr int kTileVectors = 2;
constexpr int kTileColumns = kTileVectors * kWidth;

// Lanes of two vectors for transpose_block: the one's where bit kStep of a lane's number is 0, the other's
// for kUpper. Constants by construction: in a loop GCC 12 made them anew, lane by lane, at run time.
template <int kStep, bool kUpper, int... kLane>
constexpr I32 exchanged(std::integer_sequence<int, kLane...>) {
  return I32{((kLane & kStep) != 0 ? kWidth + (kUpper ? kLane : kLane ^ kStep)
                                   : (kUpper ? kLane ^ kStep : kLane))...};
}

template <int kStep>
inline void exchange(F32 (&rows)[kWidth]) {
  constexpr auto kLanes = std::make_integer_sequence<int, kWidth>();
  constexpr I32 kLow = exchanged<kStep, false>(kLanes), kHigh = exchanged<kStep, true>(kLanes);
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    if ((i & kStep) != 0) continue;
    const F32 a = rows[i], b = rows[i | kStep];
#if defined(__clang__)
    F32 first, second;
    for (int j = 0; j < kWidth; ++j) {
      first[j] = kLow[j] < kWidth ? a[kLow[j]] : b[kLow[j] - kWidth];
      second[j] = kHigh[j] < kWidth ? a[kHigh[j]] : b[kHigh[j] - kWidth];
    }
    rows[i] = first;
    rows[i | kStep] = second;
#else
    rows[i] = __builtin_shuffle(a, b, kLow);
    rows[i | kStep] = __builtin_shuffle(a, b, kHigh);
#endif
  }
}

// A kWidth × kWidth block of rows[i][0..kWidth) written as columns: log2(kWidth) rounds of pairwise
// exchanges.
inline void transpose_block(F32 (&rows)[kWidth]) {
  exchange<1>(rows);
  if constexpr (kWidth > 2) exchange<2>(rows);
  if constexpr (kWidth > 4) exchange<4>(rows);
  if constexpr (kWidth > 8) exchange<8>(rows);
}

}  // namespace
