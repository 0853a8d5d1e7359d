#pragma once
// Sizes of tiles, square blocks transposed and blocks of sums: what products of every kind share. See simd.h
// for the two macros.

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
inline void exchange(F32& low, F32& high) {
  constexpr auto kLanes = std::make_integer_sequence<int, kWidth>();
  constexpr I32 kLow = exchanged<kStep, false>(kLanes), kHigh = exchanged<kStep, true>(kLanes);
  const F32 a = low, b = high;
#if defined(__clang__)
  for (int j = 0; j < kWidth; ++j) {
    low[j] = kLow[j] < kWidth ? a[kLow[j]] : b[kLow[j] - kWidth];
    high[j] = kHigh[j] < kWidth ? a[kHigh[j]] : b[kHigh[j] - kWidth];
  }
#else
  low = __builtin_shuffle(a, b, kLow);
  high = __builtin_shuffle(a, b, kHigh);
#endif
}

template <int kStep>
inline void exchange_all(F32 (&rows)[kWidth]) {
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i)
    if ((i & kStep) == 0) exchange<kStep>(rows[i], rows[i | kStep]);
}

// A kWidth × kWidth block of rows[i][0..kWidth) written as columns: log2(kWidth) rounds of pairwise
// exchanges.
inline void transpose_block(F32 (&rows)[kWidth]) {
  exchange_all<1>(rows);
  if constexpr (kWidth > 2) exchange_all<2>(rows);
  if constexpr (kWidth > 4) exchange_all<4>(rows);
  if constexpr (kWidth > 8) exchange_all<8>(rows);
}

// kWidth vectors → the sum of each in its lane, added up in the order of reduce_add.
template <int kStep = kWidth / 2>
inline F32 reduce_add_each(F32 (&v)[kWidth]) {
#pragma GCC unroll 8
  for (int i = 0; i < kStep; ++i) {
    exchange<kStep>(v[i], v[i + kStep]);
    v[i] += v[i + kStep];
  }
  if constexpr (kStep > 1)
    return reduce_add_each<kStep / 2>(v);
  else
    return v[0];
}

// y[i · ldy + r] = the sum of the lanes of sums[r][i], as reduce_add adds it, for up to four rows and inputs.
template <int kRows, int kInputs>
inline void store_sums(const F32 (&sums)[kRows][kInputs], float* y, int64_t ldy) {
  if constexpr (kRows * kInputs == 1) {
    *y = reduce_add(sums[0][0]);
    return;
  }
  constexpr int kAtOnce = kWidth / 4;  // inputs, each in four lanes
#pragma GCC unroll 4
  for (int first = 0; first < kInputs; first += kAtOnce) {
    F32 v[kWidth];
#pragma GCC unroll 16
    for (int lane = 0; lane < kWidth; ++lane) {
      const int i = first + lane / 4, r = lane % 4;
      v[lane] = i < kInputs && r < kRows ? sums[r][i] : F32{};
    }
    float totals[kWidth];
    store(totals, reduce_add_each(v));
#pragma GCC unroll 4
    for (int j = 0; j < kAtOnce; ++j)
      if (first + j < kInputs) __builtin_memcpy(y + (first + j) * ldy, totals + 4 * j, kRows * sizeof *y);
  }
}

}  // namespace
