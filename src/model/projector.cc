#include "model/projector.h"

#include "ops/ops.h"

namespace vl3 {

Tensor project(Context& context, const ProjectorWeights& weights, const Tensor& x) {
  const Tensor hidden = ops::linear(context, x, operand(weights.linear1), {ops::Activation::kGelu});
  return ops::linear(context, hidden, operand(weights.linear2));
}

}  // namespace vl3
