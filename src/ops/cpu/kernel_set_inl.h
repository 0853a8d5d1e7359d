#pragma once
// The table of what kernels_inl.h and its siblings define for the instruction set of the including file.

#include "ops/cpu/few_rows_inl.h"
#include "ops/cpu/gradients_inl.h"
#include "ops/cpu/kernels_inl.h"
#include "ops/cpu/quads_inl.h"
#include "ops/cpu/spin_inl.h"

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
          .pack_strips = pack_strips,
          .tile = tile<false>,
          .tile_turned = tile<true>,
          .dots = dots,
          .weigh = weigh,
          .pair_rows = 0,
          .pack_pairs = nullptr,
          .tile_pairs = nullptr,
          .tile_pairs_turned = nullptr,
          .round_pairs = nullptr,
          .interleave_pairs = nullptr,
          .interleave_halves = nullptr,
          .dots_pairs = nullptr,
          .softmax_pairs = nullptr,
          .quad_rows = kQuadRows,
          .quad_columns = kQuadColumns,
          .quantized_row_bytes = quantized_row_bytes,
          .quantize_row = quantize_row,
          .tile_int8 = tile_int8,
          .quantize_parts = quantize_parts,
          .tile_int4 = tile_int4,
          .int4_to_int8 = int4_to_int8,
          .spin_f32 = spin_f32,
          .spin_bf16 = nullptr,
          .spin_int8 = spin_int8,
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
