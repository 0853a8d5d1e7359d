#include "autograd/tape.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a thread takes at once

}  // namespace

void Tape::watch(const Tensor& parameter) {
  require(parameter.dtype() == DType::kF32 || parameter.dtype() == DType::kBF16, ErrorCode::kInvalidArgument,
          "[tape] a parameter to train is {}; it should be f32 or bf16", to_string(parameter.dtype()));
  watched_[key(parameter)] = parameter;
}

void Tape::record(const Tensor& output, Backward backward) {
  made_[key(output)]++;
  steps_.push_back({output, std::move(backward)});
}

void Tape::add_gradient(Context& context, const Variable& variable, const Tensor& gradient) {
  if (!needs_gradient(variable)) return;
  require(gradient.numel() == variable.numel(), ErrorCode::kInternal, "[tape] gradient {} for a tensor {}",
          to_string(gradient.shape()), to_string(variable.shape()));
  Tensor& sum = gradients_[key(variable)];
  if (!sum.defined()) {
    sum = gradient.reshape(variable.shape());
    return;
  }
  const float *a = sum.data<float>(), *b = gradient.data<float>();
  const bool ours = sum.storage().use_count() == 1;  // else it is somebody's gradient as well
  Tensor result = ours ? sum : context.empty(sum.shape());
  float* target = result.mutable_data<float>();
  context.threads().parallel_for(sum.numel(), kGrain, [&](int64_t begin, int64_t end, int) {
    kernels_of(context).add(a + begin, b + begin, end - begin, target + begin);
  });
  sum = std::move(result);
}

Tensor Tape::gradient_sum(Context& context, const Variable& variable) {
  Tensor& sum = gradients_[key(variable)];
  if (!sum.defined()) {
    sum = context.empty(variable.shape());
    std::memset(sum.mutable_raw(), 0, sum.bytes());
  } else if (sum.storage().use_count() > 1) {
    sum = sum.clone();
  }
  return sum;
}

Tensor Tape::segment(const Tensor& x, const Segment& f) {
  const size_t first = steps_.size();
  const Tensor y = f(x);
  if (!recompute_ || !needs_gradient(y)) return y;
  forget_steps_from(first);
  record(y, [x, f](Context& c, Tape& tape, const Tensor& dy) {
    set_tape(c, &tape);
    const Tensor again = f(x);  // its steps are the next ones to go back over
    tape.add_gradient(c, again, dy);
    set_tape(c, nullptr);
  });
  return y;
}

void Tape::forget_steps_from(size_t first) {
  while (steps_.size() > first) {
    const auto made = made_.find(key(steps_.back().output));
    if (--made->second == 0) made_.erase(made);
    steps_.pop_back();
  }
}

void Tape::backward(Context& context, const Tensor& loss, float seed) {
  require(loss.numel() == 1 && needs_gradient(loss), ErrorCode::kInvalidArgument,
          "[tape] cannot go back from a tensor {} that depends on no parameter", to_string(loss.shape()));
  const TapePause pause(context);
  add_gradient(context, loss, Tensor::from<float>({1}, std::span<const float>(&seed, 1)));
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
