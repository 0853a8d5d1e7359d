#pragma once
// Instructions that only some processors of a path have, each compiled in a file of its own: they replace
// entries of its table.

#include "ops/cpu/kernels.h"

namespace vl3 {

void use_avx512bf16(KernelSet& set) noexcept;  // bf16 pairs
void use_avx512vnni(KernelSet& set) noexcept;  // int8 quads

}  // namespace vl3
