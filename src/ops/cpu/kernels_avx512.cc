// AVX-512, with products of bf16 pairs where the processor has them.

#include "ops/cpu/kernels.h"

#if defined(__AVX512F__)

#define VL3_SIMD_BYTES 64
#define VL3_TILE_ROWS 14
#include "ops/cpu/has_f16c.h"
#include "ops/cpu/kernels_inl.h"
#include "ops/cpu/pairs_avx512bf16.h"

namespace vl3 {

const KernelSet* avx512_kernels() noexcept {
  static const KernelSet plain = {"avx512",   kWidth,   kTileRows, kTileColumns, widen,    pack,     tile,
                                  dots,       nullptr,  nullptr,   nullptr,      activate, swiglu,   add,
                                  layer_norm, rms_norm, rope,      softmax_step, scale,    transpose};
  static const KernelSet with_pairs = {"avx512",
                                       kWidth,
                                       kTileRows,
                                       kTileColumns,
                                       widen,
                                       pack,
                                       tile,
                                       dots,
                                       avx512bf16_pack,
                                       avx512bf16_tile,
                                       avx512bf16_round,
                                       activate,
                                       swiglu,
                                       add,
                                       layer_norm,
                                       rms_norm,
                                       rope,
                                       softmax_step,
                                       scale,
                                       transpose};
  const bool runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("fma") && has_f16c();
  if (!runs) return nullptr;
  return __builtin_cpu_supports("avx512bf16") ? &with_pairs : &plain;
}

}  // namespace vl3

#else  // another architecture

namespace vl3 {
const KernelSet* avx512_kernels() noexcept { return nullptr; }
}  // namespace vl3

#endif
