#include "ops/tape.h"

#include <algorithm>

#include "base/check.h"

namespace vl3 {

void Tape::watch(const Tensor& parameter) {
  require(parameter.dtype() == DType::kF32, ErrorCode::kInvalidArgument,
          "[tape] a parameter to train is {}; it should be f32", to_string(parameter.dtype()));
  watched_[key(parameter)] = parameter;
}

bool Tape::needs_gradient(const Tensor& tensor) const {
  return watched_.contains(key(tensor)) || made_.contains(key(tensor));
}

void Tape::record(const Tensor& output, Backward backward) {
  made_[key(output)]++;
  steps_.push_back({output, std::move(backward)});
}

void Tape::add_gradient(const Tensor& tensor, const Tensor& gradient) {
  if (!tensor.defined() || !needs_gradient(tensor)) return;
  require(gradient.numel() == tensor.numel(), ErrorCode::kInternal, "[tape] gradient {} for a tensor {}",
          to_string(gradient.shape()), to_string(tensor.shape()));
  Tensor& sum = gradients_[key(tensor)];
  if (!sum.defined()) {
    sum = gradient.reshape(tensor.shape()).clone();
    return;
  }
  float* target = sum.data<float>();
  const float* source = gradient.data<float>();
  for (int64_t i = 0; i < sum.numel(); ++i) target[i] += source[i];
}

void Tape::backward(Context& context, const Tensor& loss, float seed) {
  require(loss.numel() == 1 && needs_gradient(loss), ErrorCode::kInvalidArgument,
          "[tape] cannot go back from a tensor {} that depends on no parameter", to_string(loss.shape()));
  add_gradient(loss, Tensor::from<float>({1}, std::span<const float>(&seed, 1)));
  while (!steps_.empty()) {
    Step step = std::move(steps_.back());
    steps_.pop_back();
    const auto made = made_.find(key(step.output));
    const auto found = gradients_.find(key(step.output));
    const Tensor gradient = found == gradients_.end() ? Tensor() : found->second;
    if (found != gradients_.end() && !watched_.contains(key(step.output))) gradients_.erase(found);
    if (--made->second == 0) made_.erase(made);
    // It may have arrived through a reshaped view.
    if (gradient.defined()) step.backward(context, *this, gradient.reshape(step.output.shape()));
  }
}

Tensor Tape::gradient(const Tensor& parameter) const {
  const auto found = gradients_.find(key(parameter));
  return found == gradients_.end() ? Tensor() : found->second.reshape(parameter.shape());
}

void Tape::clear_steps() {
  steps_.clear();
  made_.clear();
  std::erase_if(gradients_, [this](const auto& entry) { return !watched_.contains(entry.first); });
}

}  // namespace vl3
