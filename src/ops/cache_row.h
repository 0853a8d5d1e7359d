#pragma once
// A key or a value of one token and head [D] as a cache stores it: D f32, D f16, or an f32 scale and D i8 in
// steps of 1/127 of the row's largest magnitude.
//
// Rows of i8 hold numbers that were divided by factors of their channels and then rotated, so that neither a
// channel that is always large nor one that is so for a token takes the others' digits. The rotation is
// Hadamard's (QuaRot, arXiv 2404.00456), which is its own inverse; rows are cut into pieces of a power of
// two, the longest first (72 = 64 + 8). Products with keys stay what they were where queries are multiplied
// by the factors and rotated; sums of values become what they were when they are rotated and multiplied.

#include <cstddef>
#include <cstdint>

#include "vl3/context.h"

namespace vl3::ops {

int64_t cache_row_bytes(CacheType type, int64_t width);
// factors: [width], for kInt8; null: ones.
void store_row(const KernelSet& kernels, CacheType type, const float* source, int64_t width,
               std::byte* target, const float* factors = nullptr);
// As stored: rows of kInt8 stay divided and rotated.
void widen_row(const KernelSet& kernels, CacheType type, const std::byte* source, int64_t width,
               float* target);

// In place: a query as stored keys want it, and a sum of stored values as it was. Of kInt8 alone; else
// nothing.
void to_stored(CacheType type, float* query, int64_t width, const float* factors);
void from_stored(CacheType type, float* sum, int64_t width, const float* factors);

}  // namespace vl3::ops
