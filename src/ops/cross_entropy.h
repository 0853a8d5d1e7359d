#pragma once

#include <span>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Mean over the targets that are not -100 of -log softmax(logits)[target]. logits [T, V] f32, targets [T] →
// [1] f32. NaN where no target counts, as in the reference. Throws kInvalidArgument for a target outside [0,
// V). Differentiable.
Tensor cross_entropy(Context& context, const Tensor& logits, std::span<const int64_t> targets);

}  // namespace vl3::ops
