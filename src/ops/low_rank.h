#pragma once
// What an adapter adds to a linear layer: a product of two narrow matrices. Reference: "LoRA: Low-Rank
// Adaptation of Large Language Models" (Hu et al. 2021); PEFT's LoraLayer.

#include <cstdint>
#include <memory>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {
class Tape;
}

namespace vl3::ops {

// Which elements of an adapter's input a pass of training leaves out: a function of the seed, the step, the
// pass within it, the layer's stream and the element's place, so that a pass that runs again has the same.
struct Dropout {
  double rate = 0;  // [0, 1), in steps of 2⁻¹⁶
  uint64_t seed = 0;
  uint32_t step = 0, pass = 0;
};

struct LowRank {
  Tensor a;                                // [r, K] f32
  Tensor b;                                // [N, r] f32
  float scale = 1;                         // alpha / r, or alpha / √r
  uint32_t stream = 0;                     // whose dropout it is
  std::shared_ptr<const Dropout> dropout;  // counts on a tape only; null: none
};

// scale · B (A x): x [T, K] f32 → [T, N] f32. On a tape x goes through dropout first: elements that stay are
// multiplied by 1 / (1 - rate). Differentiable in x, A and B; of the forward pass only [T, r] is kept.
// Products and sums are f32 whatever the context computes with. Throws kInvalidArgument for shapes and
// dtypes other than these.
Tensor low_rank(Context& context, const Tensor& x, const LowRank& layer);

// Its parts, for a layer that records one step for its own product and this. What a pass keeps:
struct LowRankPass {
  Tensor t;         // [T, r]
  Dropout dropout;  // of this pass, also where the backward pass comes after the next one began
};
Tensor low_rank(Context& context, const Tensor& x, const LowRank& layer, LowRankPass& pass);
void low_rank_backward(Context& context, Tape& tape, const Tensor& x, const LowRank& layer,
                       const LowRankPass& pass, const Tensor& dy);
// Throws kInvalidArgument where the adapter is not one of a layer [n, k], or lies elsewhere.
void check_low_rank(const Context& context, int64_t k, int64_t n, const LowRank& layer);

// x with elements left out and the others scaled.
Tensor dropped(Context& context, const Tensor& x, const Dropout& dropout, uint32_t stream);

}  // namespace vl3::ops
