// AVX2 with FMA and F16C.

#include "ops/cpu/kernels/tables.h"

#if defined(__AVX2__)

#define VL3_SIMD_BYTES 32
#define VL3_TILE_ROWS 6
#include "ops/cpu/kernels/kernel_set_inl.h"

namespace {
constexpr vl3::KernelSet kSet = kernel_set("avx2");
}

namespace vl3 {
constinit const KernelSet* const kAvx2Table = &kSet;
}

#else  // another architecture

namespace vl3 {
constinit const KernelSet* const kAvx2Table = nullptr;
}

#endif
