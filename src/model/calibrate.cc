// What goes into the linear layers of a model, for quantisation.

#include <algorithm>
#include <unordered_map>

#include "model/model_parts.h"
#include "model/parameters.h"
#include "ops/cpu/matmul.h"
#include "tensor/quantized.h"
#include "vl3/model.h"
#include "vl3/quantize.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr int64_t kGroupSquare = kQuantGroup * kQuantGroup;

// Adds the products of a batch of inputs [T, K].
void add_products(Context& context, const Tensor& inputs, InputMoments& moments) {
  const int64_t rows = inputs.dim(0), k = inputs.dim(1);
  const Tensor group = context.empty({rows, kQuantGroup});
  for (int64_t first = 0; first < k; first += kQuantGroup) {
    const int64_t count = std::min(kQuantGroup, k - first);
    for (int64_t i = 0; i < rows; ++i) {
      float* row = group.mutable_data<float>() + i * kQuantGroup;
      std::copy_n(inputs.data<float>() + i * k + first, count, row);
      std::fill(row + count, row + kQuantGroup, 0.0f);
    }
    ops::MatmulColumns product{&group, moments.products.data() + first / kQuantGroup * kGroupSquare};
    product.transposed = true;
    product.accumulate = true;
    ops::matmul(context, {group.data<float>(), kQuantGroup, rows, {}, true}, std::span(&product, 1));
  }
  moments.rows += rows;
}

class Moments {
 public:
  void add(Context& context, std::span<const Tensor* const> weights, const Tensor& inputs) {
    std::shared_ptr<InputMoments> shared;
    for (const Tensor* w : weights) {
      if (const auto found = by_weight_.find(w->address()); found != by_weight_.end()) shared = found->second;
    }
    if (!shared) {
      const int64_t k = inputs.dim(1);
      shared = std::make_shared<InputMoments>();
      shared->k = k;
      shared->products.resize(static_cast<size_t>(quant_groups(k) * kGroupSquare));
    }
    for (const Tensor* w : weights) by_weight_.emplace(w->address(), shared);
    add_products(context, inputs, *shared);
  }
  std::shared_ptr<const InputMoments> of(const Tensor& weight) const {
    const auto found = by_weight_.find(weight.address());
    return found == by_weight_.end() ? nullptr : found->second;
  }

 private:
  std::unordered_map<const void*, std::shared_ptr<InputMoments>> by_weight_;
};

// Sets an observer for as long as it lives; products that the observer makes itself are not seen.
class Observation {
 public:
  Observation(Context& context, Moments& moments) : context_(context), moments_(moments) { begin(); }
  ~Observation() { context_.set_observer(nullptr); }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

 private:
  void begin() {
    context_.set_observer([this](std::span<const Tensor* const> weights, const Tensor& inputs) {
      if (busy_) return;
      busy_ = true;
      moments_.add(context_, weights, inputs);
      busy_ = false;
    });
  }
  Context& context_;
  Moments& moments_;
  bool busy_ = false;
};

}  // namespace

Calibration calibrate(Context& context, const ForConditionalGeneration& model,
                      const std::function<void()>& run) {
  Moments moments;
  {
    const Observation observation(context, moments);
    run();
  }
  Calibration result;
  ModelWeights weights = weights_of(model);  // the tensors' memory is not copied
  visit(weights, model.config(), [&](const std::string& name, const Tensor& tensor, Part) {
    if (auto found = moments.of(tensor)) result.emplace(name, std::move(found));
  });
  return result;
}

}  // namespace vl3
