#pragma once
// AdamW over the tensors that train. Reference: torch.optim.AdamW with decoupled decay, and clip_grad_norm_.

#include <array>
#include <cstdint>
#include <vector>

#include "autograd/tape.h"
#include "train/trainable.h"
#include "vl3/context.h"

namespace vl3 {

struct AdamwSettings {
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8, weight_decay = 0;
  uint64_t seed = 0;  // of the rounding of bf16 masters
};

// √ Σ g² over the gradients on the tape, in double; the same bits for any number of threads.
double gradient_norm(Context& context, const Tape& tape, const std::vector<TrainedTensor>& tensors);

// One step for every tensor that has a gradient on the tape; one without, as in a batch without pictures,
// stays as it is, and so does its count of steps. ops::adamw says what a step is; decay only where the tensor
// has it. Draws of a master of bf16 are named by (seed, name, count, element) alone.
void adamw_step(Context& context, const Tape& tape, std::vector<TrainedTensor>& tensors,
                const std::array<double, 3>& rates, double gradient_scale, const AdamwSettings& settings);

}  // namespace vl3
