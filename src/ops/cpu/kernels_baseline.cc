// The instruction set every processor of the architecture has: SSE2 on x86-64, NEON on AArch64.

#define VL3_SIMD_BYTES 16
#define VL3_TILE_ROWS 6
#include "ops/cpu/kernels_inl.h"

namespace vl3 {

const KernelSet* baseline_kernels() noexcept {
  static const KernelSet set = {"baseline", kWidth,   kTileRows, kTileColumns, widen,    pack,     tile,
                                dots,       nullptr,  nullptr,   nullptr,      activate, swiglu,   add,
                                layer_norm, rms_norm, rope,      softmax_step, scale,    transpose};
  return &set;
}

}  // namespace vl3
