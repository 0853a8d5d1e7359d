// AVX-512, with products of bf16 pairs and int8 quads where the processor has them.

#include "ops/cpu/kernels.h"

#if defined(__AVX512F__)

#define VL3_SIMD_BYTES 64
#define VL3_TILE_ROWS 14
#include "ops/cpu/extensions.h"
#include "ops/cpu/has_f16c.h"
#include "ops/cpu/kernel_set_inl.h"

namespace vl3 {

const KernelSet* avx512_kernels() noexcept {
  static const KernelSet set = [] {
    KernelSet best = kernel_set("avx512");
    if (__builtin_cpu_supports("avx512bf16")) use_avx512bf16(best);
    if (__builtin_cpu_supports("avx512vnni")) use_avx512vnni(best);
    return best;
  }();
  const bool runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("fma") && has_f16c();
  return runs ? &set : nullptr;
}

}  // namespace vl3

#else  // another architecture

namespace vl3 {
const KernelSet* avx512_kernels() noexcept { return nullptr; }
}  // namespace vl3

#endif
