#pragma once
// The inner loops of the operations, once per instruction set, as a table of functions that is chosen when a
// Context is made. This header and what the kernel files include must stay free of inline library functions:
// those files are compiled for instruction sets that the machine may lack, and the linker keeps one copy of
// an inline function for all.

#include <cstddef>
#include <cstdint>

namespace vl3 {

// How weights are stored; kernels widen them to f32 on the way.
enum class WeightType { kF32, kBF16, kF16 };

enum class Elementwise { kGeluTanh, kSilu };

// What a step of AdamW is the same for every element of a tensor: m and v decay by beta1 and beta2, the
// gradient is scaled first, the weight shrinks by decay_factor and moves by rate · m / (√v · rsqrt_correction
// + eps).
struct AdamwStep {
  float beta1, beta2, eps;
  float one_minus_beta1, one_minus_beta2;  // 1 - beta1, 1 - beta2
  float gradient_scale;
  float decay_factor;      // 1 - rate · weight decay
  float rate;              // over 1 - beta1^t
  float rsqrt_correction;  // 1 / √(1 - beta2^t)
};

// Rows of activations for products with quantised weights. Their layout is private to the kernel
// set.
struct QuantizedRows {
  const uint8_t* bytes;  // a row every stride bytes
  int64_t stride;
  const float* scales;    // [rows][groups]
  const int32_t* starts;  // [rows][groups], or the sums of parts [rows][parts] for tile_int4
};

// Tiles: C [m, n] = or += A [m, k] · B [k, n], where B lies packed with a row stride of ldb. Columns come in
// groups of tile_columns, the last of them padded: reads of B and, for full groups, writes of C touch whole
// groups.
struct KernelSet {
  const char* name;
  int64_t width;         // f32 lanes of a vector
  int64_t tile_rows;     // rows of a tile
  int64_t tile_columns;  // columns of a tile, a multiple of width

  // n numbers of a stored type → f32.
  void (*widen)(const void* source, WeightType type, int64_t n, float* target);
  // n i8 times scale → f32; n f32 → f16, to nearest even.
  void (*widen_int8)(const int8_t* source, float scale, int64_t n, float* target);
  void (*narrow_f16)(const float* source, int64_t n, uint16_t* target);
  // tile_columns rows of W (n of them real, the rest zero), elements [0, k), row stride ldw →
  // [k][tile_columns] f32.
  void (*pack)(const void* w, WeightType type, int64_t ldw, int64_t n, int64_t k, float* target);
  // k rows of W, n ≤ tile_columns elements of each, row stride ldw → [k][tile_columns] f32, the rest zero.
  void (*pack_rows)(const void* w, WeightType type, int64_t ldw, int64_t n, int64_t k, float* target);
  // Columns of A [k, m], row stride lda, in micro-panels of as many as rows: panel s → target + s · stride,
  // [k][rows], up to width elements past it written as well. Elements may be anything of 32 bits.
  void (*pack_a_panels)(const float* a, int64_t lda, int64_t m, int64_t k, int64_t rows, int64_t stride,
                        float* target);
  // m ≤ tile_rows, n ≤ tile_columns.
  void (*tile)(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t m, int64_t n, int64_t k,
               float* c, int64_t ldc, bool accumulate);
  // The same where A lies transposed, as [k, m] with a row stride of lda.
  void (*tile_transposed)(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t m, int64_t n,
                          int64_t k, float* c, int64_t ldc, bool accumulate);
  // y[i · ldy + r] = W[r] · x[i] for n rows of W and m rows of x. A GEMV, of few rows of x: W is read once,
  // in order. next: the rows that come after these, for memory to fetch meanwhile; null where they follow in
  // place.
  void (*gemv)(const void* w, WeightType type, int64_t ldw, int64_t n, const float* x, int64_t ldx, int64_t m,
               int64_t k, float* y, int64_t ldy, const void* next);

  // y[i · ldy + d] += Σ_j p[i · ldp + j] · v[j · ldv + d] for m rows of p, count rows of v and d < n. next:
  // as above, n elements a row; null where nothing comes after.
  void (*weighted_sum)(const float* p, int64_t ldp, const void* v, WeightType type, int64_t ldv, int64_t m,
                       int64_t count, int64_t n, float* y, int64_t ldy, const void* next);

  // Products of bf16 pairs with f32 sums, null where the hardware has none. Like pack and tile with k
  // counted in pairs and m ≤ pair_rows; a pair is one 32-bit word, the earlier element in its low half. odd:
  // the last pair of a row has one element.
  int64_t pair_rows;
  void (*pack_pairs)(const uint16_t* w, int64_t ldw, int64_t n, int64_t pairs, bool odd, uint32_t* target);
  void (*tile_pairs)(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t m, int64_t n,
                     int64_t pairs, float* c, int64_t ldc, bool accumulate);
  void (*tile_pairs_transposed)(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t m,
                                int64_t n, int64_t pairs, float* c, int64_t ldc, bool accumulate);
  // n f32 → bf16, to nearest even; an odd n is filled up with a zero.
  void (*round_pairs)(const float* source, int64_t n, uint32_t* target);
  // Two rows of n f32 as one row of n pairs; second may be null, for zeros.
  void (*interleave_pairs)(const float* first, const float* second, int64_t n, uint32_t* target);
  // Likewise of two rows of bf16.
  void (*interleave_halves)(const uint16_t* first, const uint16_t* second, int64_t n, uint32_t* target);
  // Like gemv, for x of bf16 with a row stride of ldx pairs; k is counted in elements.
  void (*gemv_pairs)(const uint16_t* w, int64_t ldw, int64_t n, const uint32_t* x, int64_t ldx, int64_t m,
                     int64_t k, float* y, int64_t ldy);
  // Like softmax_step; the probabilities go to target as bf16, filled up with zeros to whole vectors of
  // pairs.
  float (*softmax_pairs)(const float* scores, int64_t n, float scale, float* maximum, float* sum,
                         uint32_t* target);

  // Products of quantised weights (tensor/quantized.h) with rows of int8 and integer sums.
  int64_t quad_rows;     // rows of a tile
  int64_t quad_columns;  // columns of a tile, a multiple of the rows of a block
  // k f32 → the row that tile_int8 wants, in quantized_row_bytes(k); a scale and a start for every group.
  // multipliers [k]: of the numbers before they are rotated (tensor/quantized.h).
  int64_t (*quantized_row_bytes)(int64_t k);
  void (*quantize_row)(const float* x, const float* multipliers, int64_t k, uint8_t* target, float* scales,
                       int32_t* starts);
  // c [m, n] = A · Wᵀ for m ≤ quad_rows rows of A and n ≤ quad_columns rows of W in the int8 blocks from
  // blocks on; parts: of K.
  void (*tile_int8)(const QuantizedRows& a, const uint8_t* blocks, int64_t block_bytes, int64_t parts,
                    int64_t m, int64_t n, float* c, int64_t ldc);
  // The same for int4 blocks and few rows: i8 [parts][32], a scale for every group and a sum for every part.
  void (*quantize_parts)(const float* x, const float* multipliers, int64_t k, uint8_t* target, float* scales,
                         int32_t* sums);
  void (*tile_int4)(const QuantizedRows& a, const uint8_t* blocks, int64_t block_bytes, int64_t parts,
                    int64_t m, int64_t n, float* c, int64_t ldc);
  // An int4 block → the int8 block of the same numbers, for many rows.
  void (*int4_to_int8)(const uint8_t* block, int64_t parts, uint8_t* target);

  // Independent multiply-adds on registers; returns how many operations they were, two each. Null where there
  // is no instruction of that kind.
  int64_t (*peak_fma_f32)(int64_t rounds);
  int64_t (*peak_fma_bf16)(int64_t rounds);
  int64_t (*peak_fma_int8)(int64_t rounds);

  // In place, elementwise.
  void (*activate)(float* x, int64_t n, Elementwise kind);
  void (*swiglu)(const float* gate, const float* up, int64_t n, float* target);
  void (*add)(const float* a, const float* b, int64_t n, float* target);
  // Backward. dx = dy · f'(x) of activate; likewise for both operands of swiglu.
  void (*activate_backward)(const float* x, const float* dy, int64_t n, Elementwise kind, float* dx);
  void (*swiglu_backward)(const float* gate, const float* up, const float* dy, int64_t n, float* dgate,
                          float* dup);
  // One row of a layer norm (centred) or rms norm: dx is written, dw and db are added to; db may be null.
  void (*norm_backward)(const float* x, const float* weight, const float* dy, float eps, bool centred,
                        int64_t n, float* dx, float* dw, float* db);
  // Softmax: ds = p · (dp - delta) · factor, in place of dp.
  void (*softmax_backward)(const float* p, float* dp, int64_t n, float delta, float factor);
  // y += factor · x.
  void (*add_scaled)(const float* x, float factor, int64_t n, float* y);
  // One step of AdamW over n elements; src/train/optimizer.h says which.
  void (*adamw)(float* weight, const float* gradient, float* m, float* v, int64_t n, const AdamwStep& step);
  // One row of n.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* y);
  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* y);
  // One head: x [2·half], cos and sin [half].
  void (*rope)(const float* x, const float* cos, const float* sin, int64_t half, float* y);
  // One step of a running softmax over a row of n scores: scores become exp(scale · s - new maximum),
  // *maximum and *sum are brought up to date, and the factor for what was summed before is returned.
  float (*softmax_step)(float* scores, int64_t n, float scale, float* maximum, float* sum);
  void (*scale)(float* x, int64_t n, float factor);
  // [rows][columns] with row stride ld → [columns][padded rows], zero beyond rows; for keys of attention.
  void (*transpose)(const float* source, int64_t ld, int64_t rows, int64_t columns, float* target,
                    int64_t target_ld);
};

// The paths this build has. Null where the processor cannot run them.
const KernelSet* baseline_kernels() noexcept;
const KernelSet* avx2_kernels() noexcept;
const KernelSet* avx512_kernels() noexcept;
const KernelSet*
amx_kernels() noexcept;  // the first call asks the system to let this process use tile registers

}  // namespace vl3
