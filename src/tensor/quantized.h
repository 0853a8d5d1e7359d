#pragma once
// int8 and int4 weights: how a matrix [N, K] lies in memory, in a file as in a kernel's hands.
//
// A row is cut along K into groups of 256 numbers, the last one of what is left, and every group is rotated
// (rotate_groups) before it is rounded, as products rotate their activations: what stands out of a group is
// spread over it, so that one step fits all. Rotations of both sides cancel out.
// Reference: QuaRot (Ashkboos et al., 2024), section 3, with blocks in place of the whole width.
//
// A matrix begins with an exponent for each of its columns, i8 [K], filled up to a multiple of 64 bytes.
// Column k is multiplied by 2^exponent before it is rotated, and activations are divided by as much, so that
// what is large on one side and small on the other does not cost both. Reference: SmoothQuant (Xiao et al.,
// 2023).
//
// Sixteen rows make a block; the last block is filled up with zero rows. A block begins with what its rows
// say about their groups and goes on along K, sixteen rows at a time, so that a kernel has one row in each
// lane. K is filled up to P = ⌈K/32⌉ parts of 32; G = ⌈K/256⌉. Sections begin at multiples of 64 bytes:
//
//   int8: bf16 scale [G][16], then 8 P quads of u8 [16][4].
//         w[n, k] = scale · (u - 128), u in [1, 255]: 8 1/16 bits a weight.
//   int4: bf16 scale [G][16]; u8 code [P][16], a step s in its low half and a zero z in its high half; then
//         P times u8 [4][16][4]. Byte [j][n][b] holds q of k = 4j + b in its low half and of k = 16 + 4j + b
//         in its high half.
//         w[n, k] = scale · s · (q - z), q in [0, 15], |s · (q - z)| ≤ 127: 4 5/16 bits a weight, which
//         become int8 exactly.
//
// Kernels see zero activations where K was filled up.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "vl3/tensor.h"

namespace vl3 {

class ThreadPool;

inline constexpr int64_t kBlockRows = 16;
inline constexpr int64_t kQuantGroup = 256;  // numbers along K that are rotated together and share a scale
inline constexpr int64_t kQuantPart = 32;    // of a group, which share a step and a zero in int4

inline int64_t quant_groups(int64_t k) { return (k + kQuantGroup - 1) / kQuantGroup; }
inline int64_t quant_parts(int64_t k) { return (k + kQuantPart - 1) / kQuantPart; }

// Bytes of sixteen rows, and of a matrix. dtype: kInt8 or kInt4.
int64_t block_bytes(DType dtype, int64_t k);
int64_t quantized_bytes(DType dtype, int64_t rows, int64_t k);

// The parts of a quantised tensor.
std::span<const int8_t> column_exponents(const Tensor& w);
const std::byte* blocks_of(const Tensor& w);
// What activations are multiplied with before they are rotated: the signs of rotate_groups and 2^-exponent.
void activation_multipliers(const Tensor& w, std::span<float> target);

// In place, row [K]: every group x becomes H S x, with the orthonormal Hadamard matrix H and the signs S of
// the Rudin-Shapiro sequence, (-1)^(pairs of neighbouring ones in i), which spread a mean as well as an
// outlier. The last group is rotated in pieces of a power of two each, the longest first.
void rotate_groups(std::span<float> row);
void rotate_groups_back(std::span<float> row);

// Dense weights f32, bf16 or f16: as f32, and squares [K] += Σ of every column's.
std::vector<float> as_f32(const Tensor& w);
void add_column_squares(ThreadPool& threads, const Tensor& w, std::span<double> squares);

// How one group of one row is rounded.
struct GroupCode {
  float scale = 0;                              // a bf16
  uint8_t step[kQuantGroup / kQuantPart] = {};  // int4
  uint8_t zero[kQuantGroup / kQuantPart] = {};

  // Number i of the group, rounded to what it can stand for; q: how it is stored.
  float rounded(DType dtype, int64_t i, float w, uint8_t* q) const;
};

// The scale for a group of rotated weights; and, for int4, the step and zero of a part, searched for the
// least squared error.
GroupCode fit_group(DType dtype, std::span<const float> group);
void fit_part(GroupCode& code, int64_t part, std::span<const float> weights);

// Rounds a rotated row to nearest, a group at a time; codes [G], q [K].
void round_row(DType dtype, std::span<const float> row, std::span<GroupCode> codes, std::span<uint8_t> q);

// Writes a row into a block of zeros. lane: of the block, [0, 16).
void store_row(DType dtype, std::span<const GroupCode> codes, std::span<const uint8_t> q, int64_t lane,
               std::byte* block);

// What rounds a rotated row of a matrix: round_row, or something that knows more (checkpoint/gptq.h).
// Called from several threads.
using RowRounding =
    std::function<void(std::span<float> row, std::span<GroupCode> codes, std::span<uint8_t> q)>;

struct QuantizedOptions {
  std::span<const int8_t> exponents;  // of the columns, [-30, 30]; none: zeros
  RowRounding rounding;               // none: to nearest
};

// w [N, …] f32, bf16 or f16 → the same shape in dtype. Throws kInvalidArgument for other dtypes and for
// numbers that are not finite.
Tensor quantized(ThreadPool& threads, const Tensor& w, DType dtype, const QuantizedOptions& options = {});

// Row n of quantised w → target [K] f32, rotated back.
void dequantize_row(const Tensor& w, int64_t n, float* target);

}  // namespace vl3
