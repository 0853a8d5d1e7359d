#pragma once
// Elementwise functions of pieces of rows, for the epilogues of products.

#include "ops/cpu/kernels/kernels.h"
#include "ops/elementwise.h"

namespace vl3::ops::cpu {

// In place, over n elements.
void activate(const KernelSet& kernels, float* x, int64_t n, Activation kind);

}  // namespace vl3::ops::cpu
