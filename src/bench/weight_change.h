#pragma once
// How far the weights of a model are from those of another one of the same shape.

#include <string>
#include <vector>

#include "vl3/context.h"
#include "vl3/model.h"

namespace vl3 {

struct TensorChange {
  std::string name;  // canonical (vl3/checkpoint.h)
  DType before = DType::kF32, after = DType::kF32;
  double error = 0;  // ‖w − w'‖ / ‖w‖; infinite where w is zero and w' is not
};

// Every tensor that both models have in the same shape, the worst first; equal ones with error 0. A few MiB
// of both are widened at a time. Throws kCancelled.
std::vector<TensorChange> compare_weights(Context& context, const ForConditionalGeneration& model,
                                          const ForConditionalGeneration& changed);

}  // namespace vl3
