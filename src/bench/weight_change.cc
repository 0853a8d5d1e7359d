#include "bench/weight_change.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "model/model_parts.h"
#include "model/parameters.h"
#include "ops/convert.h"
#include "ops/cpu/matmul.h"
#include "tensor/quantized.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr int64_t kElementsAtOnce = int64_t{2} << 20;

std::map<std::string, Tensor> tensors_of(const ForConditionalGeneration& model) {
  ModelWeights weights = weights_of(model);  // the tensors' memory is not copied
  std::map<std::string, Tensor> result;
  visit(weights, model.config(),
        [&](const std::string& name, const Tensor& tensor, Part) { result[name] = tensor; });
  return result;
}

struct Squares {
  double size = 0, error = 0;
};

Squares squares(const float* x, const float* y, int64_t count) {
  Squares sum;
  for (int64_t i = 0; i < count; ++i) {
    const double difference = static_cast<double>(x[i]) - y[i];
    sum.size += static_cast<double>(x[i]) * x[i];
    sum.error += difference * difference;
  }
  return sum;
}

// Rows [from, to) in f32, [to - from, width].
Tensor rows_of(Context& context, const Tensor& weight, int64_t from, int64_t to) {
  if (!is_quantized(weight.dtype())) return ops::widened(context, weight.rows(from, to));
  const int64_t width = weight.numel() / weight.dim(0);
  Tensor result = context.empty({to - from, width});
  context.threads().parallel_for(to - from, 1, [&](int64_t i, int64_t, int) {
    dequantize_row(weight, from + i, result.mutable_data<float>() + i * width);
  });
  return result;
}

// Rows are summed by themselves, so that the result does not depend on threads.
double relative_error(Context& context, const Tensor& before, const Tensor& after) {
  const int64_t rows = before.dim(0), width = rows > 0 ? before.numel() / rows : 0;
  const int64_t step = std::max<int64_t>(kElementsAtOnce / std::max<int64_t>(width, 1), 1);
  Squares total;
  for (int64_t from = 0; from < rows; from += step) {
    context.check_cancelled();
    const int64_t to = std::min(from + step, rows);
    const Tensor x = rows_of(context, before, from, to), y = rows_of(context, after, from, to);
    std::vector<Squares> sums(static_cast<size_t>(to - from));
    constexpr int64_t kGrain = 16;
    context.threads().parallel_for(to - from, kGrain, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i)
        sums[static_cast<size_t>(i)] =
            squares(x.data<float>() + i * width, y.data<float>() + i * width, width);
    });
    for (const Squares& sum : sums) {
      total.size += sum.size;
      total.error += sum.error;
    }
  }
  if (total.error == 0) return 0;
  return total.size > 0 ? std::sqrt(total.error / total.size) : std::numeric_limits<double>::infinity();
}

}  // namespace

std::vector<TensorChange> compare_weights(Context& context, const ForConditionalGeneration& model,
                                          const ForConditionalGeneration& changed) {
  const std::map<std::string, Tensor> others = tensors_of(changed);
  std::vector<TensorChange> result;
  for (const auto& [name, tensor] : tensors_of(model)) {
    const auto other = others.find(name);
    if (other == others.end() || other->second.shape() != tensor.shape()) continue;
    result.push_back(
        {name, tensor.dtype(), other->second.dtype(), relative_error(context, tensor, other->second)});
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const TensorChange& a, const TensorChange& b) { return a.error > b.error; });
  return result;
}

}  // namespace vl3
