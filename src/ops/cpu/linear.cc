#include "ops/linear.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "ops/convert.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/elementwise.h"
#include "ops/cpu/low_rank.h"
#include "ops/cpu/matmul.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

constexpr int64_t kColumns = 64;  // a thread takes at once, of a sum over rows

// The norm row by row, as matmul asks for it.
class RowNorm {
 public:
  RowNorm(Context& context, const Tensor& x, const Prologue& p)
      : x_(x), weight_(widened(context, norm_weight(p))), bias_(widened(context, norm_bias(p))) {
    require(p.norm == Prologue::Norm::kNone || weight_.numel() == x.dim(1), ErrorCode::kInvalidArgument,
            "[linear] a norm {} of rows {}", to_string(weight_.shape()), to_string(x.shape()));
    rows_ = {x.data<float>(), x.dim(0), x.dim(1), {}};
    const float* source = rows_.data;
    const auto row = [&kernels = kernels_of(context), source,
                      w = p.weight == nullptr ? nullptr : weight_.data<float>(),
                      b = p.bias == nullptr ? nullptr : bias_.data<float>(), eps = p.eps, k = x.dim(1),
                      norm = p.norm](int64_t i, float* target) {
      if (norm == Prologue::Norm::kLayerNorm)
        kernels.layer_norm(source + i * k, w, b, eps, k, target);
      else
        kernels.rms_norm(source + i * k, w, eps, k, target);
    };
    if (p.norm != Prologue::Norm::kNone) rows_.prologue = row;
  }
  MatmulRows rows(std::span<const RowRun> runs) const {
    MatmulRows result = rows_;
    result.runs = runs;
    return result;
  }

 private:
  Tensor x_, weight_, bias_;
  MatmulRows rows_;
};

// What adapters add to the rows of a layer's product.
class Added {
 public:
  explicit Added(Tensor sum) : sums_{std::move(sum)} {}  // [T, N]
  Added(Context& context, const RowNorm& norm, const LinearOperand& layer) {
    const int64_t n = layer.weight.dim(0);
    const MatmulRows rows = norm.rows(layer.runs);
    if (layer.low_rank != nullptr) sums_.push_back(low_rank(context, rows, *layer.low_rank, n));
    for (const LowRankRows& some : layer.low_rank_rows) {
      if (some.rows.empty()) continue;
      rows_.resize(static_cast<size_t>(rows.m));
      sums_.push_back(low_rank(context, rows, some, n));
      for (size_t i = 0; i < some.rows.size(); ++i) {
        rows_[static_cast<size_t>(some.rows[i])] = sums_.back().data<float>() + static_cast<int64_t>(i) * n;
      }
    }
  }

  bool any() const { return !sums_.empty(); }
  // values [count] of the row, from a column on; n: the width of the product. A row without an adapter is
  // left as it is: adding zero would change the sign of one.
  void add(const KernelSet& kernels, int64_t row, int64_t column, int64_t count, int64_t n,
           float* values) const {
    if (!any()) return;
    const float* sum = rows_.empty() ? sums_[0].data<float>() + row * n : rows_[static_cast<size_t>(row)];
    if (sum != nullptr) kernels.add(values, sum + column, count, values);
  }

 private:
  std::vector<Tensor> sums_;
  std::vector<const float*> rows_;  // empty: sums_[0] has them all
};

}  // namespace

void linear(Context& context, const Tensor& x, const LinearOperand& layer, const Epilogue& epilogue,
            const Prologue& prologue, const Tensor& y) {
  const Tensor &weight = layer.weight, &bias = layer.bias;
  const KernelSet& kernels = kernels_of(context);
  const Tensor wide_bias = widened(context, bias);
  const float* b = wide_bias.defined() ? wide_bias.data<float>() : nullptr;
  const float* r = epilogue.residual != nullptr && epilogue.residual->defined()
                       ? epilogue.residual->data<float>()
                       : nullptr;
  const int64_t n = weight.dim(0);
  const RowNorm norm(context, x, prologue);
  const Added added(context, norm, layer);
  MatmulColumns product{&weight, y.mutable_data<float>()};
  product.epilogue_reads = r;
  if (b != nullptr || added.any() || r != nullptr || epilogue.activation != Activation::kNone) {
    product.epilogue = [&kernels, &added, b, r, n, kind = epilogue.activation](int64_t row, int64_t column,
                                                                               int64_t count, float* values) {
      if (b != nullptr) kernels.add(values, b + column, count, values);
      added.add(kernels, row, column, count, n, values);
      activate(kernels, values, count, kind);
      if (r != nullptr) kernels.add(values, r + row * n + column, count, values);
    };
  }
  matmul(context, norm.rows(layer.runs), std::span(&product, 1));
}

void linears(Context& context, const Tensor& x, std::span<const LinearOperand> operands,
             const Prologue& prologue, std::span<const Tensor> adapters, Tensor* rounded,
             std::span<const Tensor> results) {
  std::vector<MatmulColumns> products;
  std::vector<Tensor> biases;
  std::vector<Added> sums;
  sums.reserve(operands.size());  // they stay where they are: products refer to them
  const RowNorm norm(context, x, prologue);
  for (size_t i = 0; i < operands.size(); ++i) {
    const LinearOperand& o = operands[i];
    biases.push_back(widened(context, o.bias));
    const bool given = !adapters.empty() && adapters[i].defined();
    const Added& added = sums.emplace_back(given ? Added(adapters[i]) : Added(context, norm, o));
    MatmulColumns product{&o.weight, results[i].mutable_data<float>()};
    const float* b = o.bias.defined() ? biases.back().data<float>() : nullptr;
    if (b != nullptr || added.any()) {
      product.epilogue = [&kernels = kernels_of(context), &added, b, n = o.weight.dim(0)](
                             int64_t row, int64_t column, int64_t count, float* values) {
        if (b != nullptr) kernels.add(values, b + column, count, values);
        added.add(kernels, row, column, count, n, values);
      };
    }
    products.push_back(std::move(product));
  }
  MatmulRows rows = norm.rows(operands[0].runs);
  rows.rounded = rounded;
  matmul(context, rows, products);
}

void gated_linear(Context& context, const Tensor& x, const LinearOperand& gate_layer,
                  const LinearOperand& up_layer, const Prologue& prologue, const Tensor& y) {
  const Tensor &gate = gate_layer.weight, &up = up_layer.weight;
  const int64_t n = gate.dim(0);
  const Tensor ups = context.empty({x.dim(0), n});
  MatmulColumns product{&gate, y.mutable_data<float>()};
  product.fused_w = &up;
  product.fused_c = ups.mutable_data<float>();
  product.epilogue_reads = product.fused_c;
  const RowNorm norm(context, x, prologue);
  const Added to_gate(context, norm, gate_layer), to_up(context, norm, up_layer);
  product.epilogue = [&kernels = kernels_of(context), u = ups.mutable_data<float>(), n, &to_gate, &to_up](
                         int64_t row, int64_t column, int64_t count, float* values) {
    const int64_t at = row * n + column;
    to_gate.add(kernels, row, column, count, n, values);
    to_up.add(kernels, row, column, count, n, u + at);
    kernels.swiglu(values, u + at, count, values);
  };
  matmul(context, norm.rows(gate_layer.runs), std::span(&product, 1));
}

void input_gradient(Context& context, const Tensor& dy, const Tensor& weight, bool accumulate,
                    const Tensor& target) {
  const Tensor dense = is_quantized(weight.dtype()) ? widened(context, weight) : weight;
  MatmulColumns product{&dense, target.mutable_data<float>()};
  product.transposed = true;
  product.accumulate = accumulate;
  product.rounded = weight.dtype() == DType::kBF16;
  matmul(context, MatmulRows{dy.data<float>(), dy.dim(0), dy.dim(1), {}}, std::span(&product, 1));
}

void weight_gradient(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight,
                     const Tensor& sum) {
  MatmulColumns product{&x, sum.mutable_data<float>()};
  product.transposed = product.accumulate = true;
  product.rounded = weight.dtype() == DType::kBF16;
  matmul(context, MatmulRows{dy.data<float>(), dy.dim(1), dy.dim(0), {}, true}, std::span(&product, 1));
}

void column_sums(Context& context, const Tensor& x, const Tensor& sums) {
  const int64_t width = x.dim(1);
  context.threads().parallel_for(width, kColumns, [&](int64_t begin, int64_t end, int) {
    std::array<double, kColumns> totals{};
    for (int64_t t = 0; t < x.dim(0); ++t) {
      const float* row = x.data<float>() + t * width + begin;
      for (int64_t i = 0; i < end - begin; ++i) totals[static_cast<size_t>(i)] += row[i];
    }
    for (int64_t i = begin; i < end; ++i)
      sums.mutable_data<float>()[i] = static_cast<float>(totals[static_cast<size_t>(i - begin)]);
  });
}

}  // namespace vl3::ops::cpu
