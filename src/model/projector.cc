#include "model/projector.h"

#include "ops/ops.h"

namespace vl3 {

Tensor project(Context& context, const ProjectorWeights& weights, const Tensor& x) {
  const Tensor hidden =
      ops::linear(context, x, weights.linear1.weight, weights.linear1.bias, {ops::Activation::kGelu});
  return ops::linear(context, hidden, weights.linear2.weight, weights.linear2.bias);
}

}  // namespace vl3
