#pragma once
// How much a visual token differs from the one before it.

#include <cstdint>
#include <vector>

#include "vl3/tensor.h"
#include "vl3/thread_pool.h"

namespace vl3 {

// The mean of |a[i] - b[i]| over n values, as the reference's framework takes it on a CPU: the differences in
// f32, their sum in f32 in that framework's order (eight lanes, four of them in turn, added up level by
// level), so that a mean on the very edge of a threshold falls on the same side.
float mean_absolute_difference(const float* a, const float* b, int64_t n);

// Which tokens of a frame to keep, 1 or 0 each: compression_mask's rule for one frame and the one before it,
// of as many patches [P, words] in merge-block order.
std::vector<uint8_t> kept_tokens(ThreadPool& threads, const Tensor& before, const Tensor& now, int64_t tokens,
                                 double threshold = 0.1, int64_t min_tokens = 1);

}  // namespace vl3
