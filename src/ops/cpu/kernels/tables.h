#pragma once
// What each file of an instruction set defines: data, and functions that only processors of that set may
// call. Whether they may is decided in kernels.cc, which is compiled for every processor.

#include "ops/cpu/kernels/kernels.h"

namespace vl3 {

// Null in a build for another architecture.
extern const KernelSet* const kBaselineTable;
extern const KernelSet* const kAvx2Table;
extern const KernelSet* const kAvx512Table;

// Instructions that only some processors of a path have, each compiled in a file of its own: they replace
// entries of its table.
void use_avx512bf16(KernelSet& set) noexcept;  // bf16 pairs
void use_avx512vnni(KernelSet& set) noexcept;  // int8 quads
void use_amx(KernelSet& set) noexcept;         // tiles of both, after the other two

// KernelSet::tile_int8 with AVX512_VNNI, for n ≤ 16: what AMX leaves to it.
void tile_int8_avx512vnni(const QuantizedRows& a, const uint8_t* blocks, int64_t block_bytes, int64_t parts,
                          int64_t m, int64_t n, float* c, int64_t ldc);

}  // namespace vl3
