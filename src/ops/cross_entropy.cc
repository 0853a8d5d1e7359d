#include "ops/cross_entropy.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/linear.h"
#include "ops/linear_backward.h"
#include "ops/rows.h"
#include "ops/upload.h"

namespace vl3::ops {
namespace {

constexpr int64_t kLogitBytes = 64 << 20;  // of the rows whose logits exist at once

// Rows of x whose targets count, with their targets.
struct Counted {
  std::vector<int64_t> rows, targets;
};

Counted counted(const Tensor& x, const Tensor& weight, std::span<const int64_t> targets) {
  require(x.rank() == 2 && weight.rank() == 2 && x.dim(1) == weight.dim(1) &&
              x.dim(0) == static_cast<int64_t>(targets.size()),
          ErrorCode::kInvalidArgument, "[cross_entropy] x {} and weight {} for {} targets",
          to_string(x.shape()), to_string(weight.shape()), targets.size());
  Counted result;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (targets[i] == kIgnoredTarget) continue;
    require(targets[i] >= 0 && targets[i] < weight.dim(0), ErrorCode::kInvalidArgument,
            "[cross_entropy] target {} is outside [0, {})", targets[i], weight.dim(0));
    result.rows.push_back(static_cast<int64_t>(i));
    result.targets.push_back(targets[i]);
  }
  return result;
}

// The gradients of a sum of losses, on their way while the logits are there.
struct Gradients {
  Tensor x, weight;  // undefined where they are not wanted

  void add(Context& context, const Tensor& dlogits, const Tensor& x_rows, const Tensor& w,
           const std::vector<int64_t>& rows, int64_t first) const {
    if (x.defined()) {
      const auto some =
          std::span(rows).subspan(static_cast<size_t>(first), static_cast<size_t>(dlogits.dim(0)));
      implementation(context, "cross_entropy", cpu::put_rows)(context, input_gradient(context, dlogits, w),
                                                              some, x);
    }
    if (weight.defined()) add_weight_gradient(context, dlogits, x_rows, w, weight);
  }
};

Tensor zeros(Context& context, const Shape& shape) {
  Tensor result = context.empty(shape);
  implementation(context, "cross_entropy", cpu::zero)(context, result);
  return result;
}

}  // namespace

Tensor linear_cross_entropy(Context& context, const Tensor& x, const Tensor& weight,
                            std::span<const int64_t> targets, double divisor) {
  const Counted all = counted(x, weight, targets);
  check_devices(context, "cross_entropy", {{"x", x}, {"weight", weight}});
  auto& row_losses = implementation(context, "cross_entropy", cpu::cross_entropy);
  const int64_t count = static_cast<int64_t>(all.rows.size());
  if (divisor == 0) divisor = static_cast<double>(count);
  Tape* const tape = tape_for(context, {&x, &weight});
  Gradients gradients;
  if (tape != nullptr && tape->needs_gradient(x)) gradients.x = zeros(context, x.shape());
  if (tape != nullptr && tape->needs_gradient(weight)) gradients.weight = zeros(context, weight.shape());

  double sum = 0;
  {
    const TapePause pause(context);
    const float share = tape != nullptr && count > 0 ? static_cast<float>(1.0 / divisor) : 0.0f;
    const int64_t row_bytes = weight.dim(0) * static_cast<int64_t>(sizeof(float));
    const int64_t step = std::clamp<int64_t>(kLogitBytes / std::max<int64_t>(row_bytes, 1), 64, 4096);
    std::vector<double> losses(static_cast<size_t>(std::min(step, count)));
    for (int64_t first = 0; first < count; first += step) {
      const int64_t rows = std::min(step, count - first);
      const Tensor x_rows = gather_rows(
          context, x, std::span(all.rows).subspan(static_cast<size_t>(first), static_cast<size_t>(rows)));
      const Tensor logits = linear(context, x_rows, weight);
      row_losses(context, logits,
                 std::span(all.targets).subspan(static_cast<size_t>(first), static_cast<size_t>(rows)), share,
                 losses);
      for (int64_t i = 0; i < rows; ++i) sum += losses[static_cast<size_t>(i)];
      if (tape != nullptr) gradients.add(context, logits, x_rows, weight, all.rows, first);
    }
  }
  const float loss =
      divisor > 0 ? static_cast<float>(sum / divisor) : std::numeric_limits<float>::quiet_NaN();
  Tensor y = upload(context, {1}, std::span(&loss, 1));
  if (tape != nullptr) {
    tape->record(y, [x, weight, gradients](Context& c, Tape& t, const Tensor& dy) {
      const float factor = to_host(dy).data<float>()[0];
      for (const auto& [to, gradient] : {std::pair{x, gradients.x}, std::pair{weight, gradients.weight}}) {
        if (!gradient.defined()) continue;
        if (factor != 1.0f) implementation(c, "cross_entropy", cpu::scale)(c, gradient, factor);
        t.add_gradient(c, to, gradient);
      }
    });
  }
  return y;
}

}  // namespace vl3::ops
