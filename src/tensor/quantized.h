#pragma once
// int8 and int4 weights: how a matrix [N, K] lies in memory, in a file as in a kernel's hands.
//
// Sixteen rows make a block; the last block is filled up with zero rows. A block begins with 128 bytes about
// its rows and goes on along K, sixteen rows at a time, so that a kernel has one row in each lane:
//
//   int8: f32 scale[16], i32 sum[16], then ⌈K/4⌉ quads of i8 [16][4].
//         w[n, k] = scale[n] · q, q in [-127, 127]; sum[n] = Σ q.
//   int4: f32 scale[16], f32 minimum[16], then ⌈K/32⌉ groups of u8 scale[16], u8 minimum[16], u8 [4][16][4].
//         Byte [j][n][b] holds q of k = 4j + b in its low half and of k = 16 + 4j + b in its high half.
//         w[n, k] = scale[n] · group_scale[n] · q - minimum[n] · group_minimum[n], q in [0, 15]: 4.5 bits a
//         weight.
//
// K is filled up to whole quads or groups with q = 0; kernels see zero activations there.

#include <cstdint>

#include "vl3/tensor.h"

namespace vl3 {

class ThreadPool;

inline constexpr int64_t kBlockRows = 16;
inline constexpr int64_t kBlockHeader = 2 * 4 * kBlockRows;  // bytes
inline constexpr int64_t kInt4Group = 32;
inline constexpr int64_t kInt4GroupBytes = 2 * kBlockRows + kBlockRows * kInt4Group / 2;

// Bytes of sixteen rows. dtype: kInt8 or kInt4.
int64_t block_bytes(DType dtype, int64_t k);

// w [N, …] f32, bf16 or f16 → the same shape in dtype, rounded to nearest; int4's scales and minimums are
// searched for the least squared error. Throws kInvalidArgument for other dtypes and for numbers that are not
// finite.
Tensor quantized(ThreadPool& threads, const Tensor& w, DType dtype);

// Row n of quantised w → target [K] f32.
void dequantize_row(const Tensor& w, int64_t n, float* target);

}  // namespace vl3
