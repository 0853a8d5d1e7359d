// Products of int8 quads, for processors with AVX512_VNNI.

#include "ops/cpu/kernels/tables.h"

#if defined(__AVX512VNNI__)

#define VL3_SIMD_BYTES 64
#include "ops/cpu/kernels/peak_fma_inl.h"
#include "ops/cpu/kernels/quads_inl.h"

namespace vl3 {

void tile_int8_avx512vnni(const QuantizedRows& a, const uint8_t* blocks, int64_t block_bytes, int64_t parts,
                          int64_t m, int64_t n, float* c, int64_t ldc) {
  tile_int8(a, blocks, block_bytes, parts, m, n, c, ldc);
}

void use_avx512vnni(KernelSet& set) noexcept {
  set.quad_rows = kQuadRows;
  set.quad_columns = kQuadColumns;
  set.quantized_row_bytes = quantized_row_bytes;
  set.quantize_row = quantize_row;
  set.tile_int8 = tile_int8;
  set.quantize_parts = quantize_parts;
  set.tile_int4 = tile_int4;
  set.int4_to_int8 = int4_to_int8;
  set.peak_fma_int8 = peak_fma_int8;
}

}  // namespace vl3

#endif
