#include "ops/linear.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/linear_backward.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/tape.h"
#include "tensor/quantized.h"

namespace vl3::ops {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a thread takes at once
constexpr int64_t kColumns = 64;     // likewise, of a sum over rows

void check_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor* residual) {
  require(x.rank() == 2 && weight.rank() == 2 && x.dim(1) == weight.dim(1), ErrorCode::kInvalidArgument,
          "[linear] x {} and weight {} should be [T, K] and [N, K]", to_string(x.shape()),
          to_string(weight.shape()));
  require(!bias.defined() || (bias.rank() == 1 && bias.dim(0) == weight.dim(0)), ErrorCode::kInvalidArgument,
          "[linear] bias {} for weight {}", to_string(bias.shape()), to_string(weight.shape()));
  require(residual == nullptr ||
              (residual->dtype() == DType::kF32 && residual->shape() == Shape{x.dim(0), weight.dim(0)}),
          ErrorCode::kInvalidArgument, "[linear] residual {} for a result [{}, {}]",
          residual == nullptr ? "" : to_string(residual->shape()), x.dim(0), weight.dim(0));
}

void activate(const KernelSet& kernels, float* x, int64_t n, Activation kind) {
  switch (kind) {
    case Activation::kNone:
      return;
    case Activation::kGeluTanh:
      return kernels.activate(x, n, Elementwise::kGeluTanh);
    case Activation::kSilu:
      return kernels.activate(x, n, Elementwise::kSilu);
    case Activation::kGelu:  // only the projector's, where erf is a thousandth of the work
      for (int64_t i = 0; i < n; ++i) x[i] = 0.5f * x[i] * (1.0f + std::erf(x[i] * 0.70710678118654752f));
  }
}

// dx = dy · f'(x) over n elements.
void activate_backward(const KernelSet& kernels, const float* x, const float* dy, int64_t n, Activation kind,
                       float* dx) {
  switch (kind) {
    case Activation::kNone:
      std::copy_n(dy, n, dx);
      return;
    case Activation::kGeluTanh:
      return kernels.activate_backward(x, dy, n, Elementwise::kGeluTanh, dx);
    case Activation::kSilu:
      return kernels.activate_backward(x, dy, n, Elementwise::kSilu, dx);
    case Activation::kGelu:
      for (int64_t i = 0; i < n; ++i) {
        const double v = x[i], density = std::exp(-0.5 * v * v) * 0.3989422804014327;
        dx[i] = static_cast<float>(dy[i] * (0.5 * (1 + std::erf(v * 0.7071067811865476)) + v * density));
      }
  }
}

// f(begin, end) over ranges of [0, n), by all threads.
template <class F>
void in_ranges(Context& context, int64_t n, F&& f) {
  context.threads().parallel_for(n, kGrain, [&](int64_t begin, int64_t end, int) { f(begin, end); });
}

// Sums of the columns of x [T, N], in double: the gradient of a key's bias nearly cancels, and what is left
// is blown up by an optimizer that divides by gradients.
Tensor column_sums(Context& context, const Tensor& x) {
  const int64_t width = x.dim(1);
  Tensor sums = context.empty({width});
  context.threads().parallel_for(width, kColumns, [&](int64_t begin, int64_t end, int) {
    std::array<double, kColumns> totals{};
    for (int64_t t = 0; t < x.dim(0); ++t) {
      const float* row = x.data<float>() + t * width + begin;
      for (int64_t i = 0; i < end - begin; ++i) totals[static_cast<size_t>(i)] += row[i];
    }
    for (int64_t i = begin; i < end; ++i)
      sums.data<float>()[i] = static_cast<float>(totals[static_cast<size_t>(i - begin)]);
  });
  return sums;
}

// rounded: x as products saw it, if that was bf16; with adapter what the layer's adapter kept of this pass.
void record_linear(Context& recording, const Tensor& x, const Tensor& rounded, const LinearOperand& layer,
                   const std::optional<LowRankPass>& adapter, const Tensor& y) {
  const LowRank low = adapter ? *layer.low_rank : LowRank{};
  Tape* const tape = tape_for(recording, {&x, &layer.weight, &layer.bias, &low.a, &low.b});
  if (tape == nullptr) return;
  // Half the memory of x, and what the weight's gradient rounds it to anyway.
  const Tensor& seen = rounded.defined() && layer.weight.dtype() == DType::kBF16 ? rounded : x;
  const Tensor kept = tape->needs_gradient(layer.weight) ? seen : Tensor();
  tape->record(y, [input = Variable(x), kept, weight = layer.weight, bias = layer.bias, low,
                   low_input = adapter ? x : Tensor(), adapter](Context& context, Tape& t, const Tensor& dy) {
    const Tensor gradient = dy.reshape({input.shape()[0], weight.dim(0)});
    if (t.has_gradient(input))
      add_input_gradient(context, gradient, weight, t.gradient_sum(context, input));
    else if (t.needs_gradient(input))
      t.add_gradient(context, input, input_gradient(context, gradient, weight));
    if (kept.defined()) add_weight_gradient(context, gradient, kept, weight, t.gradient_sum(context, weight));
    if (bias.defined() && t.needs_gradient(bias))
      t.add_gradient(context, bias, column_sums(context, gradient));
    if (adapter) low_rank_backward(context, t, low_input, low, *adapter, gradient);
  });
}

// target = or += dy W
void times_weight(Context& context, const Tensor& dy, const Tensor& weight, bool accumulate, Tensor& target) {
  const Tensor dense = is_quantized(weight.dtype()) ? widened(context, weight) : weight;
  MatmulColumns product{&dense, target.data<float>()};
  product.turned = true;
  product.accumulate = accumulate;
  product.rounded = weight.dtype() == DType::kBF16;
  matmul(context, MatmulRows{dy.data<float>(), dy.dim(0), dy.dim(1), {}}, std::span(&product, 1));
}

const Tensor kAbsent;  // undefined
const Tensor* weight_of(const Prologue& p) { return p.weight == nullptr ? &kAbsent : p.weight; }
const Tensor* bias_of(const Prologue& p) { return p.bias == nullptr ? &kAbsent : p.bias; }

// The norm as an operation of its own, for a tape.
Tensor normed(Context& context, const Tensor& x, const Prologue& p) {
  if (p.norm == Prologue::Norm::kNone) return x;
  return p.norm == Prologue::Norm::kLayerNorm ? layer_norm(context, x, *p.weight, *p.bias, p.eps)
                                              : rms_norm(context, x, *p.weight, p.eps);
}

// The norm row by row, as matmul asks for it.
class RowNorm {
 public:
  RowNorm(Context& context, const Tensor& x, const Prologue& p)
      : x_(x), weight_(widened(context, *weight_of(p))), bias_(widened(context, *bias_of(p))) {
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

// What adapters add to the rows of a layer's product.
class Added {
 public:
  Added() = default;                                     // nothing
  explicit Added(Tensor sum) : sums_{std::move(sum)} {}  // [T, N]
  Added(Context& context, const RowNorm& norm, const LinearOperand& layer) {
    require(layer.low_rank == nullptr || layer.low_rank_rows.empty(), ErrorCode::kInvalidArgument,
            "[linear] a layer {} with an adapter for all rows and others for some",
            to_string(layer.weight.shape()));
    require(context.tape() == nullptr || layer.low_rank_rows.empty(), ErrorCode::kInvalidArgument,
            "[linear] adapters of single rows are not differentiable");
    const int64_t n = layer.weight.dim(0);
    if (layer.low_rank != nullptr) sums_.push_back(low_rank(context, norm.rows(), *layer.low_rank, n));
    for (const LowRankRows& some : layer.low_rank_rows) {
      if (some.rows.empty()) continue;
      rows_.resize(static_cast<size_t>(norm.rows().m));
      sums_.push_back(low_rank(context, norm.rows(), some, n));
      for (size_t i = 0; i < some.rows.size(); ++i) {
        const float*& row = rows_[static_cast<size_t>(some.rows[i])];
        require(row == nullptr, ErrorCode::kInvalidArgument, "[linear] row {} has two adapters",
                some.rows[i]);
        row = sums_.back().data<float>() + static_cast<int64_t>(i) * n;
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

Tensor input_gradient(Context& context, const Tensor& dy, const Tensor& weight) {
  Tensor dx = context.empty({dy.dim(0), weight.dim(1)});
  times_weight(context, dy, weight, false, dx);
  return dx;
}

void add_input_gradient(Context& context, const Tensor& dy, const Tensor& weight, Tensor sum) {
  times_weight(context, dy, weight, true, sum);
}

void add_weight_gradient(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight,
                         Tensor sum) {
  MatmulColumns product{&x, sum.data<float>()};
  product.turned = product.accumulate = true;
  product.rounded = weight.dtype() == DType::kBF16;
  matmul(context, MatmulRows{dy.data<float>(), dy.dim(1), dy.dim(0), {}, true}, std::span(&product, 1));
}

Activation activation_from(std::string_view name) {
  if (name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  if (name == "gelu") return Activation::kGelu;
  if (name == "silu") return Activation::kSilu;
  fail(ErrorCode::kUnsupported, "[activation] \"{}\" is not one of gelu_pytorch_tanh, gelu, silu", name);
}

Tensor linear(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Epilogue& epilogue, const Prologue& prologue) {
  return linear(context, x, LinearOperand{weight, bias}, epilogue, prologue);
}

Tensor linear(Context& context, const Tensor& x, const LinearOperand& layer, const Epilogue& epilogue,
              const Prologue& prologue) {
  const Tensor &weight = layer.weight, &bias = layer.bias;
  check_linear(x, weight, bias, epilogue.residual);
  const Tensor none;
  const Tensor& residual = epilogue.residual == nullptr ? none : *epilogue.residual;
  const Tensor &a = layer.low_rank == nullptr ? kAbsent : layer.low_rank->a,
               &low_b = layer.low_rank == nullptr ? kAbsent : layer.low_rank->b;
  if (tape_for(context, {&x, &weight, &bias, &residual, weight_of(prologue), bias_of(prologue), &a,
                         &low_b}) != nullptr) {  // a tape records one step at a time
    const Tensor y =
        activation(context, linears(context, x, std::span(&layer, 1), prologue)[0], epilogue.activation);
    return residual.defined() ? add(context, y, residual) : y;
  }
  const KernelSet& kernels = context.kernels();
  Tensor y = context.empty({x.dim(0), weight.dim(0)});
  const Tensor wide_bias = widened(context, bias);
  const float* b = wide_bias.defined() ? wide_bias.data<float>() : nullptr;
  const float* r = residual.defined() ? residual.data<float>() : nullptr;
  const int64_t n = weight.dim(0);
  const RowNorm norm(context, x, prologue);
  const Added added(context, norm, layer);
  MatmulColumns product{&weight, y.data<float>()};
  product.finish_reads = r;
  if (b != nullptr || added.any() || r != nullptr || epilogue.activation != Activation::kNone) {
    product.finish = [&kernels, &added, b, r, n, kind = epilogue.activation](int64_t row, int64_t column,
                                                                             int64_t count, float* values) {
      if (b != nullptr) kernels.add(values, b + column, count, values);
      added.add(kernels, row, column, count, n, values);
      activate(kernels, values, count, kind);
      if (r != nullptr) kernels.add(values, r + row * n + column, count, values);
    };
  }
  matmul(context, norm.rows(), std::span(&product, 1));
  return y;
}

std::vector<Tensor> linears(Context& context, const Tensor& x, std::span<const LinearOperand> operands,
                            const Prologue& prologue) {
  Tape* const tape = context.tape();
  if (tape != nullptr && prologue.norm != Prologue::Norm::kNone)
    return linears(context, normed(context, x, prologue), operands);
  std::vector<MatmulColumns> products;
  std::vector<Tensor> results, biases;
  std::vector<Added> sums(operands.size());  // stay where they are: products refer to them
  std::vector<std::optional<LowRankPass>> adapters(operands.size());
  Tensor rounded;
  const RowNorm norm(context, x, prologue);
  for (const LinearOperand& o : operands) {
    check_linear(x, o.weight, o.bias, nullptr);
    results.push_back(context.empty({x.dim(0), o.weight.dim(0)}));
    biases.push_back(widened(context, o.bias));
    std::optional<LowRankPass>& adapter = adapters[results.size() - 1];
    Added& added = sums[results.size() - 1];
    if (tape != nullptr && o.low_rank != nullptr && o.low_rank_rows.empty()) adapter.emplace();
    added = adapter ? Added(low_rank(context, x, *o.low_rank, *adapter)) : Added(context, norm, o);
    MatmulColumns product{&o.weight, results.back().data<float>()};
    const float* b = o.bias.defined() ? biases.back().data<float>() : nullptr;
    if (b != nullptr || added.any()) {
      product.finish = [&kernels = context.kernels(), &added, b, n = o.weight.dim(0)](
                           int64_t row, int64_t column, int64_t count, float* values) {
        if (b != nullptr) kernels.add(values, b + column, count, values);
        added.add(kernels, row, column, count, n, values);
      };
    }
    products.push_back(std::move(product));
  }
  MatmulRows rows = norm.rows();
  if (tape != nullptr) rows.rounded = &rounded;
  matmul(context, rows, products);
  for (size_t i = 0; tape != nullptr && i < operands.size(); ++i)
    record_linear(context, x, rounded, operands[i], adapters[i], results[i]);
  return results;
}

Tensor gated_linear(Context& context, const Tensor& x, const Tensor& gate, const Tensor& up,
                    const Prologue& prologue) {
  return gated_linear(context, x, LinearOperand{gate, kAbsent}, LinearOperand{up, kAbsent}, prologue);
}

Tensor gated_linear(Context& context, const Tensor& x, const LinearOperand& gate_layer,
                    const LinearOperand& up_layer, const Prologue& prologue) {
  const Tensor &gate = gate_layer.weight, &up = up_layer.weight;
  require(!gate_layer.bias.defined() && !up_layer.bias.defined(), ErrorCode::kInvalidArgument,
          "[gated_linear] takes no biases");
  if (context.tape() != nullptr) {
    const Tensor input = normed(context, x, prologue);
    const std::vector<Tensor> both = linears(context, input, std::array{gate_layer, up_layer});
    return swiglu(context, both[0], both[1]);
  }
  check_linear(x, gate, {}, nullptr);
  check_linear(x, up, {}, nullptr);
  require(gate.shape() == up.shape() && gate.dtype() == up.dtype(), ErrorCode::kInvalidArgument,
          "[gated_linear] gate {} {} and up {} {} differ", to_string(gate.dtype()), to_string(gate.shape()),
          to_string(up.dtype()), to_string(up.shape()));
  const int64_t n = gate.dim(0);
  Tensor y = context.empty({x.dim(0), n});
  const Tensor ups = context.empty({x.dim(0), n});
  MatmulColumns product{&gate, y.data<float>()};
  product.partner_w = &up;
  product.partner_c = ups.data<float>();
  product.finish_reads = product.partner_c;
  const RowNorm norm(context, x, prologue);
  const Added to_gate(context, norm, gate_layer), to_up(context, norm, up_layer);
  product.finish = [&kernels = context.kernels(), u = ups.data<float>(), n, &to_gate, &to_up](
                       int64_t row, int64_t column, int64_t count, float* values) {
    const int64_t at = row * n + column;
    to_gate.add(kernels, row, column, count, n, values);
    to_up.add(kernels, row, column, count, n, u + at);
    kernels.swiglu(values, u + at, count, values);
  };
  matmul(context, norm.rows(), std::span(&product, 1));
  return y;
}

Tensor activation(Context& context, const Tensor& x, Activation kind) {
  if (kind == Activation::kNone) return x;
  Tensor y = context.empty(x.shape());
  const float* source = x.data<float>();
  float* target = y.data<float>();
  in_ranges(context, x.numel(), [&](int64_t begin, int64_t end) {
    std::copy(source + begin, source + end, target + begin);
    activate(context.kernels(), target + begin, end - begin, kind);
  });
  if (Tape* tape = tape_for(context, {&x})) {
    tape->record(y, [x, kind](Context& c, Tape& t, const Tensor& dy) {
      Tensor dx = c.empty(x.shape());
      in_ranges(c, x.numel(), [&](int64_t begin, int64_t end) {
        activate_backward(c.kernels(), x.data<float>() + begin, dy.data<float>() + begin, end - begin, kind,
                          dx.data<float>() + begin);
      });
      t.add_gradient(c, x, dx);
    });
  }
  return y;
}

Tensor swiglu(Context& context, const Tensor& gate, const Tensor& up) {
  require(gate.shape() == up.shape(), ErrorCode::kInvalidArgument, "[swiglu] gate {} and up {} differ",
          to_string(gate.shape()), to_string(up.shape()));
  Tensor y = context.empty(gate.shape());
  const float *g = gate.data<float>(), *u = up.data<float>();
  float* target = y.data<float>();
  in_ranges(context, gate.numel(), [&](int64_t begin, int64_t end) {
    context.kernels().swiglu(g + begin, u + begin, end - begin, target + begin);
  });
  if (Tape* tape = tape_for(context, {&gate, &up})) {
    tape->record(y, [gate, up](Context& c, Tape& t, const Tensor& dy) {
      Tensor dgate = c.empty(gate.shape()), dup = c.empty(up.shape());
      in_ranges(c, gate.numel(), [&](int64_t begin, int64_t end) {
        c.kernels().swiglu_backward(gate.data<float>() + begin, up.data<float>() + begin,
                                    dy.data<float>() + begin, end - begin, dgate.data<float>() + begin,
                                    dup.data<float>() + begin);
      });
      t.add_gradient(c, gate, dgate);
      t.add_gradient(c, up, dup);
    });
  }
  return y;
}

Tensor add(Context& context, const Tensor& a, const Tensor& b) {
  require(a.shape() == b.shape(), ErrorCode::kInvalidArgument, "[add] {} and {} differ", to_string(a.shape()),
          to_string(b.shape()));
  Tensor y = context.empty(a.shape());
  const float *p = a.data<float>(), *q = b.data<float>();
  float* target = y.data<float>();
  in_ranges(context, a.numel(), [&](int64_t begin, int64_t end) {
    context.kernels().add(p + begin, q + begin, end - begin, target + begin);
  });
  if (Tape* tape = tape_for(context, {&a, &b})) {
    tape->record(y, [a = Variable(a), b = Variable(b)](Context& c, Tape& t, const Tensor& dy) {
      t.add_gradient(c, a, dy);
      t.add_gradient(c, b, dy);
    });
  }
  return y;
}

}  // namespace vl3::ops
