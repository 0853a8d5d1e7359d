// The instruction set every processor of the architecture has: SSE2 on x86-64, NEON on AArch64.

#define VL3_SIMD_BYTES 16
#define VL3_TILE_ROWS 6
#include "ops/cpu/kernel_set_inl.h"

namespace vl3 {

const KernelSet* baseline_kernels() noexcept {
  static constexpr KernelSet set = kernel_set("baseline");
  return &set;
}

}  // namespace vl3
