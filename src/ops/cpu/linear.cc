#include "ops/linear.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/convert.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/elementwise.h"
#include "ops/cpu/low_rank.h"
#include "ops/cpu/matmul.h"

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
    const auto row = [&kernels = context.kernels(), source,
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
  const MatmulRows& rows() const { return rows_; }

 private:
  Tensor x_, weight_, bias_;
  MatmulRows rows_;
};

// What a layer's adapter adds to its product [T, N]; undefined where it has none.
Tensor added_to(Context& context, const RowNorm& norm, const LinearOperand& layer) {
  return layer.low_rank == nullptr ? Tensor()
                                   : low_rank(context, norm.rows(), *layer.low_rank, layer.weight.dim(0));
}

}  // namespace

void linear(Context& context, const Tensor& x, const LinearOperand& layer, const Epilogue& epilogue,
            const Prologue& prologue, const Tensor& y) {
  const Tensor &weight = layer.weight, &bias = layer.bias;
  const KernelSet& kernels = context.kernels();
  const Tensor wide_bias = widened(context, bias);
  const float* b = wide_bias.defined() ? wide_bias.data<float>() : nullptr;
  const float* r = epilogue.residual != nullptr && epilogue.residual->defined()
                       ? epilogue.residual->data<float>()
                       : nullptr;
  const int64_t n = weight.dim(0);
  const RowNorm norm(context, x, prologue);
  const Tensor added = added_to(context, norm, layer);
  const float* d = added.defined() ? added.data<float>() : nullptr;
  MatmulColumns product{&weight, y.mutable_data<float>()};
  product.epilogue_reads = r;
  if (b != nullptr || d != nullptr || r != nullptr || epilogue.activation != Activation::kNone) {
    product.epilogue = [&kernels, b, d, r, n, kind = epilogue.activation](int64_t row, int64_t column,
                                                                          int64_t count, float* values) {
      if (b != nullptr) kernels.add(values, b + column, count, values);
      if (d != nullptr) kernels.add(values, d + row * n + column, count, values);
      activate(kernels, values, count, kind);
      if (r != nullptr) kernels.add(values, r + row * n + column, count, values);
    };
  }
  matmul(context, norm.rows(), std::span(&product, 1));
}

void linears(Context& context, const Tensor& x, std::span<const LinearOperand> operands,
             const Prologue& prologue, std::span<const Tensor> adapters, Tensor* rounded,
             std::span<const Tensor> results) {
  std::vector<MatmulColumns> products;
  std::vector<Tensor> biases, sums;
  const RowNorm norm(context, x, prologue);
  for (size_t i = 0; i < operands.size(); ++i) {
    const LinearOperand& o = operands[i];
    biases.push_back(widened(context, o.bias));
    sums.push_back(adapters.empty() || !adapters[i].defined() ? added_to(context, norm, o) : adapters[i]);
    MatmulColumns product{&o.weight, results[i].mutable_data<float>()};
    const float* b = o.bias.defined() ? biases.back().data<float>() : nullptr;
    const float* d = sums.back().defined() ? sums.back().data<float>() : nullptr;
    if (b != nullptr || d != nullptr) {
      product.epilogue = [&kernels = context.kernels(), b, d, n = o.weight.dim(0)](
                             int64_t row, int64_t column, int64_t count, float* values) {
        if (b != nullptr) kernels.add(values, b + column, count, values);
        if (d != nullptr) kernels.add(values, d + row * n + column, count, values);
      };
    }
    products.push_back(std::move(product));
  }
  MatmulRows rows = norm.rows();
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
  const Tensor gate_sum = added_to(context, norm, gate_layer), up_sum = added_to(context, norm, up_layer);
  product.epilogue = [&kernels = context.kernels(), u = ups.mutable_data<float>(), n,
                      gd = gate_sum.defined() ? gate_sum.data<float>() : nullptr,
                      ud = up_sum.defined() ? up_sum.data<float>() : nullptr](int64_t row, int64_t column,
                                                                              int64_t count, float* values) {
    const int64_t at = row * n + column;
    if (gd != nullptr) kernels.add(values, gd + at, count, values);
    if (ud != nullptr) kernels.add(u + at, ud + at, count, u + at);
    kernels.swiglu(values, u + at, count, values);
  };
  matmul(context, norm.rows(), std::span(&product, 1));
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
