// AVX2 with FMA and F16C.

#include "ops/cpu/kernels.h"

#if defined(__AVX2__)

#define VL3_SIMD_BYTES 32
#define VL3_TILE_ROWS 6
#include "ops/cpu/has_f16c.h"
#include "ops/cpu/kernel_set_inl.h"

namespace vl3 {

const KernelSet* avx2_kernels() noexcept {
  static constexpr KernelSet set = kernel_set("avx2");
  const bool runs = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  return runs ? &set : nullptr;
}

}  // namespace vl3

#else  // another architecture

namespace vl3 {
const KernelSet* avx2_kernels() noexcept { return nullptr; }
}  // namespace vl3

#endif
