#include "model/key_value_factors.h"

#include <algorithm>
#include <cmath>

#include "ops/cpu/kernels/kernels.h"
#include "ops/cpu/matmul.h"
#include "runtime/context_parts.h"
#include "tensor/quantized.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

using Squares = std::vector<double>;

// f(n, row [K] f32) for every row of a matrix of any type.
template <class F>
void for_rows(const KernelSet& kernels, const Tensor& w, F&& f) {
  const int64_t rows = w.dim(0), width = w.dim(1);
  std::vector<float> row(static_cast<size_t>(width));
  for (int64_t n = 0; n < rows; ++n) {
    if (is_quantized(w.dtype())) {
      dequantize_row(w, n, row.data());
    } else {
      const int64_t row_bytes = static_cast<int64_t>(w.bytes()) / rows;
      kernels.widen(w.raw() + n * row_bytes, ops::weight_type(w), width, row.data());
    }
    f(n, row.data());
  }
}

std::vector<float> widened(const KernelSet& kernels, const Tensor& x) {
  std::vector<float> result(static_cast<size_t>(x.defined() ? x.numel() : 0));
  if (x.defined()) kernels.widen(x.raw(), ops::weight_type(x), x.numel(), result.data());
  return result;
}

// Mean squares of what a layer gives for normed rows of independent numbers of unit variance: [N].
Squares of_outputs(const KernelSet& kernels, const LinearWeights& layer, const std::vector<float>& norm) {
  Squares squares(static_cast<size_t>(layer.weight.dim(0)));
  const std::vector<float> bias = widened(kernels, layer.bias);
  for_rows(kernels, layer.weight, [&](int64_t n, const float* row) {
    const size_t at = static_cast<size_t>(n);
    double sum = bias.empty() ? 0 : static_cast<double>(bias[at]) * bias[at];
    for (size_t i = 0; i < norm.size(); ++i) {
      const double x = static_cast<double>(row[i]) * norm[i];
      sum += x * x;
    }
    squares[at] = sum;
  });
  return squares;
}

// Of the columns of a matrix: [K].
Squares of_columns(const KernelSet& kernels, const Tensor& w) {
  Squares squares(static_cast<size_t>(w.dim(1)));
  for_rows(kernels, w, [&](int64_t, const float* row) {
    for (size_t i = 0; i < squares.size(); ++i) squares[i] += static_cast<double>(row[i]) * row[i];
  });
  return squares;
}

// Factors of one head from mean squares of what is stored and of what reads it. A channel that nobody reads
// or that holds nothing says little: it stays within 2^±kFarthest of the head's middle, so that weights which
// are zero, or not finite, ruin no other channel.
constexpr int kFarthest = 12;
void choose(std::span<const double> stored, std::span<const double> readers, float* factors) {
  std::vector<double> logs(stored.size());
  std::vector<double> known;
  for (size_t i = 0; i < logs.size(); ++i) {
    logs[i] = (std::log2(stored[i]) - std::log2(readers[i])) / 4;
    if (std::isfinite(logs[i])) known.push_back(logs[i]);
  }
  double middle = 0;
  if (!known.empty()) {
    const auto half = known.begin() + static_cast<int64_t>(known.size() / 2);
    std::nth_element(known.begin(), half, known.end());
    middle = std::clamp(std::round(*half), -40.0, 40.0);
  }
  for (size_t i = 0; i < logs.size(); ++i) {
    double exponent = middle;
    if (!std::isnan(logs[i]) && stored[i] > 0)
      exponent = std::clamp(std::round(logs[i]), middle - kFarthest, middle + kFarthest);
    factors[i] = std::ldexp(1.0f, static_cast<int>(exponent));
  }
}

// [heads][width] → [kv_heads][width]: the heads that read one key head, added up.
Squares of_groups(const Squares& squares, int64_t kv_heads, int64_t width) {
  Squares sums(static_cast<size_t>(kv_heads * width));
  const int64_t group = static_cast<int64_t>(squares.size()) / (kv_heads * width);
  for (size_t i = 0; i < squares.size(); ++i) {
    const int64_t head = static_cast<int64_t>(i) / width / group;
    sums[static_cast<size_t>(head * width) + i % static_cast<size_t>(width)] += squares[i];
  }
  return sums;
}

// Both numbers of every rotary pair get what the two have together.
void join_pairs(Squares& squares, int64_t width) {
  const size_t half = static_cast<size_t>(width / 2);
  for (size_t head = 0; head < squares.size(); head += 2 * half) {
    for (size_t i = head; i < head + half; ++i)
      squares[i] = squares[i + half] = squares[i] + squares[i + half];
  }
}

}  // namespace

LayerFactors layer_factors(const KernelSet& kernels, const TextLayerWeights& layer,
                           const TextConfig& config) {
  const int64_t width = config.head_dim, kv_heads = heads_of(layer.k_proj, width);
  const std::vector<float> norm = widened(kernels, layer.input_layernorm);
  Squares keys = of_outputs(kernels, layer.k_proj, norm);  // [Hkv · D]
  Squares queries = of_groups(of_outputs(kernels, layer.q_proj, norm), kv_heads, width);
  join_pairs(keys, width);
  join_pairs(queries, width);
  const Squares values = of_outputs(kernels, layer.v_proj, norm);
  const Squares readers = of_groups(of_columns(kernels, layer.o_proj.weight), kv_heads, width);
  LayerFactors factors{Tensor::empty({kv_heads, width}, DType::kF32),
                       Tensor::empty({kv_heads, width}, DType::kF32)};
  const auto head = [&](const Squares& squares, int64_t h) {
    return std::span(squares).subspan(static_cast<size_t>(h * width), static_cast<size_t>(width));
  };
  for (int64_t h = 0; h < kv_heads; ++h) {
    choose(head(keys, h), head(queries, h), factors.keys.mutable_data<float>() + h * width);
    choose(head(values, h), head(readers, h), factors.values.mutable_data<float>() + h * width);
  }
  return factors;
}

std::shared_ptr<const std::vector<LayerFactors>> KeyValueFactors::get(const Context& context,
                                                                      const TextWeights& weights,
                                                                      const TextConfig& config) {
  const std::lock_guard lock(mutex_);
  if (!layers_) {
    auto layers = std::make_shared<std::vector<LayerFactors>>(weights.layers.size());
    // A layer is one thread's, so that sums do not depend on how many there are.
    context.threads().parallel_for(static_cast<int64_t>(layers->size()), 1, [&](int64_t i, int64_t, int) {
      const size_t at = static_cast<size_t>(i);
      (*layers)[at] = layer_factors(kernels_of(context), weights.layers[at], config);
    });
    layers_ = std::move(layers);
  }
  return layers_;
}

}  // namespace vl3
