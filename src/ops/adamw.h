#pragma once

#include <cstdint>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// What a step is the same for every element of a tensor.
struct AdamwUpdate {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double rate = 0, weight_decay = 0;
  double gradient_scale = 1;
  int64_t count = 1;  // of steps, this one included
  // Of the rounding of a master of bf16: draws are named by (seed, stream, count, element) alone.
  uint64_t seed = 0;
  uint32_t stream = 0;
};

// In place. With g = gradient · gradient_scale and t = count:
//   m = β1 m + (1 - β1) g,  v = β2 v + (1 - β2) g²,
//   w = w (1 - rate · weight_decay) - rate / (1 - β1^t) · m / (√v / √(1 - β2^t) + eps)
// w of any shape, f32 or bf16; gradient, m and v f32 of as many elements. bf16 takes the f32 result rounded
// up or down at random, with chances by how near each is, so that steps too small for bf16 add up on average
// (Zamirai et al., "Revisiting BFloat16 Training", 2021). The bits do not depend on the number of threads.
// Throws kInvalidArgument for other sizes and dtypes. Reference: torch.optim.AdamW.
void adamw(Context& context, const Tensor& w, const Tensor& gradient, const Tensor& m, const Tensor& v,
           const AdamwUpdate& update);

}  // namespace vl3::ops
