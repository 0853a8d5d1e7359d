#pragma once
// A key or a value of one token and head [D] as a cache stores it: D f32, D f16, or an f32 scale and D i8 in
// steps of 1/127 of the row's largest magnitude.

#include <cstddef>
#include <cstdint>

#include "vl3/context.h"

namespace vl3::ops {

int64_t cache_row_bytes(CacheType type, int64_t width);
void store_row(const KernelSet& kernels, CacheType type, const float* source, int64_t width,
               std::byte* target);
void widen_row(const KernelSet& kernels, CacheType type, const std::byte* source, int64_t width,
               float* target);

}  // namespace vl3::ops
