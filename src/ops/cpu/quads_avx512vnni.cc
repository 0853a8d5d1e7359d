// Products of int8 quads, for processors with AVX512_VNNI.

#include "ops/cpu/tables.h"

#if defined(__AVX512VNNI__)

#define VL3_SIMD_BYTES 64
#include "ops/cpu/quads_inl.h"
#include "ops/cpu/spin_inl.h"

namespace vl3 {

void use_avx512vnni(KernelSet& set) noexcept {
  set.quad_rows = kQuadRows;
  set.quad_columns = kQuadColumns;
  set.quantize_row = quantize_row;
  set.tile_int8 = tile_int8;
  set.quantize_groups = quantize_groups;
  set.tile_int4 = tile_int4;
  set.spin_int8 = spin_int8;
}

}  // namespace vl3

#endif
