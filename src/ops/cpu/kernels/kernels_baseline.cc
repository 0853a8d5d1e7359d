// The instruction set every processor of the architecture has: SSE2 on x86-64, NEON on AArch64.

#define VL3_SIMD_BYTES 16
#define VL3_TILE_ROWS 6
#include "ops/cpu/kernels/kernel_set_inl.h"
#include "ops/cpu/kernels/tables.h"

namespace {
constexpr vl3::KernelSet kSet = kernel_set("baseline");
}

namespace vl3 {
constinit const KernelSet* const kBaselineTable = &kSet;
}
