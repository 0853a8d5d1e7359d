#pragma once

#include <span>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// What stands for "nothing is to be predicted here" among targets.
inline constexpr int64_t kIgnoredTarget = -100;

// The head and its loss in one: Σ -log softmax(x Wᵀ)[target] over the targets that are not kIgnoredTarget,
// divided by divisor, or by their number where that is 0. x [T, H] f32, weight [V, H], targets [T] → [1] f32.
// NaN where no target counts and there is no divisor, as in the reference. Logits exist for some rows at a
// time and only for those that count; with a tape, their gradients are made while they are there. Throws
// kInvalidArgument for a target outside [0, V). Differentiable in x and weight.
Tensor linear_cross_entropy(Context& context, const Tensor& x, const Tensor& weight,
                            std::span<const int64_t> targets, double divisor = 0);

}  // namespace vl3::ops
