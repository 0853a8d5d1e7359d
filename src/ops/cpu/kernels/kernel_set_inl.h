#pragma once
// The table of what kernels_inl.h and its siblings define for the instruction set of the including file.

#include "ops/cpu/kernels/few_rows_inl.h"
#include "ops/cpu/kernels/gradients_inl.h"
#include "ops/cpu/kernels/kernels_inl.h"
#include "ops/cpu/kernels/peak_fma_inl.h"
#include "ops/cpu/kernels/quads_inl.h"

namespace {

constexpr vl3::KernelSet kernel_set(const char* name) {
  return {.name = name,
          .width = kWidth,
          .tile_rows = kTileRows,
          .tile_columns = kTileColumns,
          .widen = widen,
          .widen_int8 = widen_int8,
          .narrow_f16 = narrow_f16,
          .pack = pack,
          .pack_rows = pack_rows,
          .pack_a_panels = pack_a_panels,
          .tile = tile<false>,
          .tile_transposed = tile<true>,
          .gemv = gemv,
          .weighted_sum = weighted_sum,
          .pair_rows = 0,
          .pack_pairs = nullptr,
          .tile_pairs = nullptr,
          .tile_pairs_transposed = nullptr,
          .round_pairs = nullptr,
          .interleave_pairs = nullptr,
          .interleave_halves = nullptr,
          .gemv_pairs = nullptr,
          .softmax_pairs = nullptr,
          .quad_rows = kQuadRows,
          .quad_columns = kQuadColumns,
          .quantized_row_bytes = quantized_row_bytes,
          .quantize_row = quantize_row,
          .tile_int8 = tile_int8,
          .quantize_parts = quantize_parts,
          .tile_int4 = tile_int4,
          .int4_to_int8 = int4_to_int8,
          .peak_fma_f32 = peak_fma_f32,
          .peak_fma_bf16 = nullptr,
          .peak_fma_int8 = peak_fma_int8,
          .activate = activate,
          .swiglu = swiglu,
          .add = add,
          .activate_backward = activate_backward,
          .swiglu_backward = swiglu_backward,
          .norm_backward = norm_backward,
          .softmax_backward = softmax_backward,
          .add_scaled = add_scaled,
          .adamw = adamw,
          .layer_norm = layer_norm,
          .rms_norm = rms_norm,
          .rope = rope,
          .softmax_step = softmax_step,
          .scale = scale,
          .transpose = transpose};
}

}  // namespace
