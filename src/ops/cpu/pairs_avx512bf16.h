#pragma once
// Products of bf16 pairs, for processors with AVX512_BF16; compiled in a file of their own. Contracts:
// KernelSet.

#include <cstdint>

namespace vl3 {

void avx512bf16_pack(const uint16_t* w, int64_t ldw, int64_t n, int64_t pairs, bool odd, uint32_t* target);
void avx512bf16_tile(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t m, int64_t n,
                     int64_t pairs, float* c, int64_t ldc, bool accumulate);
void avx512bf16_round(const float* source, int64_t n, uint32_t* target);

}  // namespace vl3
