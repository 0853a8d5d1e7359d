#pragma once
// How much a visual token differs from the one before it.

#include <cstdint>

namespace vl3 {

// The mean of |a[i] - b[i]| over n values, as the reference's framework takes it on a CPU: the differences in
// f32, their sum in f32 in that framework's order (eight lanes, four of them in turn, added up level by
// level), so that a mean on the very edge of a threshold falls on the same side.
float mean_absolute_difference(const float* a, const float* b, int64_t n);

}  // namespace vl3
