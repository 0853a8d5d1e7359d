// AVX-512; products of bf16 pairs and int8 quads are added where the processor has them.

#include "ops/cpu/kernels/tables.h"

#if defined(__AVX512F__)

#define VL3_SIMD_BYTES 64
#define VL3_TILE_ROWS 14
#include "ops/cpu/kernels/kernel_set_inl.h"

namespace {
constexpr vl3::KernelSet kSet = kernel_set("avx512");
}

namespace vl3 {
constinit const KernelSet* const kAvx512Table = &kSet;
}

#else  // another architecture

namespace vl3 {
constinit const KernelSet* const kAvx512Table = nullptr;
}

#endif
