#pragma once
// What this machine could do: the measure that speeds are shares of.

#include <cstdint>
#include <functional>
#include <vector>

#include "vl3/context.h"

namespace vl3 {

// Billions of operations a second, of every try, ascending. operations does some and returns their number.
std::vector<double> operation_rates(int tries, const std::function<double()>& operations);

// What the context's threads reach together with one of the kernels' peak_fma functions
// (ops/cpu/kernels/kernels.h), two operations a multiply-add: the fastest of some short tries, which nothing
// disturbed. Takes some 50 ms.
double peak_fma_gflops(Context& context, int64_t (*peak_fma)(int64_t rounds));

}  // namespace vl3
