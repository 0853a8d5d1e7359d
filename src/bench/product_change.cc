#include "bench/product_change.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/compute_scope.h"
#include "model/model_parts.h"
#include "model/parameters.h"
#include "ops/linear.h"
#include "ops/rows.h"

namespace vl3 {
namespace {

// A mean over a thousand rows is known well enough; the first ones of a text are not like those of its
// middle, so every call gives some.
constexpr int64_t kRows = 1024, kRowsOfCall = 64;
constexpr int64_t kOutputsAtOnce = int64_t{4} << 20;  // 16 MiB of each model

std::map<std::string, Tensor> matrices_of(const ForConditionalGeneration& model) {
  ModelWeights weights = weights_of(model);  // the tensors' memory is not copied
  std::map<std::string, Tensor> result;
  visit(weights, model.config(), [&](const std::string& name, const Tensor& tensor, Part) {
    if (tensor.defined() && tensor.rank() == 2) result.emplace(name, tensor);
  });
  return result;
}

// ‖y − y'‖ / ‖y‖.
double relative_error(std::span<const float> y, std::span<const float> changed) {
  double size = 0, error = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const double difference = static_cast<double>(y[i]) - changed[i];
    size += static_cast<double>(y[i]) * y[i];
    error += difference * difference;
  }
  if (error == 0) return 0;
  return size > 0 ? std::sqrt(error / size) : std::numeric_limits<double>::infinity();
}

}  // namespace

ProductSums::ProductSums(const ComparedModel& model, const ComparedModel& changed)
    : compute_(model.compute), changed_compute_(changed.compute) {
  const std::map<std::string, Tensor> others = matrices_of(changed.model);
  for (const auto& [name, weight] : matrices_of(model.model)) {
    const auto other = others.find(name);
    if (other == others.end() || other->second.shape() != weight.shape()) continue;
    by_address_.try_emplace(weight.address(), Matrix{name, weight, other->second});
  }
}

ProductSums::Watch::Watch(Context& context, ProductSums& sums) : context_(context) {
  context.set_observer([&context, &sums](std::span<const Tensor* const> weights, const Tensor& inputs) {
    if (sums.busy_) return;
    sums.busy_ = true;
    for (const Tensor* weight : weights) {
      const auto found = sums.by_address_.find(weight->address());
      if (found != sums.by_address_.end()) sums.add(context, inputs, found->second);
    }
    sums.busy_ = false;
  });
}

ProductSums::Watch::~Watch() { context_.set_observer(nullptr); }

void ProductSums::add(Context& context, const Tensor& inputs, Matrix& matrix) {
  const int64_t outputs = matrix.weight.dim(0);
  const int64_t count = std::min(
      {inputs.dim(0), kRows - matrix.rows, kRowsOfCall, std::max<int64_t>(kOutputsAtOnce / outputs, 1)});
  if (count <= 0) return;
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < count; ++i) rows.push_back(i * inputs.dim(0) / count);
  const Tensor some = ops::gather_rows(context, inputs, rows);  // [count, K]
  const auto product = [&](const Tensor& weight, Compute compute) {
    const ComputeScope scope(context, compute);
    return ops::linear(context, some, weight);  // [count, N]
  };
  const Tensor y = product(matrix.weight, compute_), changed = product(matrix.changed, changed_compute_);
  for (int64_t i = 0; i < count; ++i)
    matrix.errors += relative_error(y.rows(i, i + 1).span<float>(), changed.rows(i, i + 1).span<float>());
  matrix.rows += count;
}

std::vector<ProductChange> ProductSums::means() const {
  std::vector<ProductChange> result;
  for (const auto& [address, matrix] : by_address_) {
    if (matrix.rows > 0) result.push_back({matrix.name, matrix.errors / static_cast<double>(matrix.rows)});
  }
  std::sort(result.begin(), result.end(), [](const ProductChange& a, const ProductChange& b) {
    return a.error != b.error ? a.error > b.error : a.name < b.name;
  });
  return result;
}

}  // namespace vl3
