#include "ops/linear.h"

#include <array>
#include <optional>

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/linear_backward.h"
#include "ops/norm.h"
#include "runtime/context_parts.h"

namespace vl3::ops {
namespace {

// The adapters of single rows: their shapes are low_rank's to check.
void check_low_rank_rows(const Context& context, const Tensor& x, const LinearOperand& layer) {
  if (layer.low_rank_rows.empty()) return;
  require(layer.low_rank == nullptr, ErrorCode::kInvalidArgument,
          "[linear] a layer {} with an adapter for all rows and others for some",
          to_string(layer.weight.shape()));
  require(tape_of(context) == nullptr, ErrorCode::kInvalidArgument,
          "[linear] adapters of single rows are not differentiable");
  std::vector<bool> adapted(static_cast<size_t>(x.dim(0)));
  for (const LowRankRows& some : layer.low_rank_rows) {
    for (const int64_t row : some.rows) {
      require(row >= 0 && row < x.dim(0), ErrorCode::kInvalidArgument, "[linear] an adapter for row {} of {}",
              row, x.dim(0));
      require(!adapted[static_cast<size_t>(row)], ErrorCode::kInvalidArgument,
              "[linear] row {} has two adapters", row);
      adapted[static_cast<size_t>(row)] = true;
    }
  }
}

void check_linear(const Context& context, const Tensor& x, const LinearOperand& layer,
                  const Tensor* residual) {
  const Tensor &weight = layer.weight, &bias = layer.bias;
  check_devices(context, "linear", {{"x", x}, {"weight", weight}, {"bias", bias}});
  if (residual != nullptr) check_devices(context, "linear", {{"residual", *residual}});
  require(x.rank() == 2 && weight.rank() == 2 && x.dim(1) == weight.dim(1), ErrorCode::kInvalidArgument,
          "[linear] x {} and weight {} should be [T, K] and [N, K]", to_string(x.shape()),
          to_string(weight.shape()));
  require(!bias.defined() || (bias.rank() == 1 && bias.dim(0) == weight.dim(0)), ErrorCode::kInvalidArgument,
          "[linear] bias {} for weight {}", to_string(bias.shape()), to_string(weight.shape()));
  require(residual == nullptr ||
              (residual->dtype() == DType::kF32 && residual->shape() == Shape{x.dim(0), weight.dim(0)}),
          ErrorCode::kInvalidArgument, "[linear] residual {} for a result [{}, {}]",
          residual == nullptr ? "" : to_string(residual->shape()), x.dim(0), weight.dim(0));
  check_low_rank_rows(context, x, layer);
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

const Tensor kAbsent;  // undefined

void check_prologue(const Context& context, const Tensor& x, const Prologue& p) {
  if (p.norm == Prologue::Norm::kNone) return;
  const Tensor &weight = norm_weight(p), &bias = norm_bias(p);
  check_devices(context, "linear", {{"norm", weight}, {"norm's bias", bias}});
  require(weight.numel() == x.dim(1) && (!bias.defined() || bias.numel() == x.dim(1)),
          ErrorCode::kInvalidArgument, "[linear] a norm {} of rows {}", to_string(weight.shape()),
          to_string(x.shape()));
}

// The norm as an operation of its own, for a tape.
Tensor normed(Context& context, const Tensor& x, const Prologue& p) {
  if (p.norm == Prologue::Norm::kNone) return x;
  return p.norm == Prologue::Norm::kLayerNorm ? layer_norm(context, x, *p.weight, *p.bias, p.eps)
                                              : rms_norm(context, x, *p.weight, p.eps);
}

}  // namespace

const Tensor& norm_weight(const Prologue& p) { return p.weight == nullptr ? kAbsent : *p.weight; }
const Tensor& norm_bias(const Prologue& p) { return p.bias == nullptr ? kAbsent : *p.bias; }

Tensor column_sums(Context& context, const Tensor& x) {
  Tensor sums = context.empty({x.dim(1)});
  implementation(context, "column_sums", cpu::column_sums)(context, x, sums);
  return sums;
}

Tensor input_gradient(Context& context, const Tensor& dy, const Tensor& weight) {
  Tensor dx = context.empty({dy.dim(0), weight.dim(1)});
  implementation(context, "linear", cpu::input_gradient)(context, dy, weight, false, dx);
  return dx;
}

void add_input_gradient(Context& context, const Tensor& dy, const Tensor& weight, Tensor sum) {
  implementation(context, "linear", cpu::input_gradient)(context, dy, weight, true, sum);
}

void add_weight_gradient(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight,
                         Tensor sum) {
  implementation(context, "linear", cpu::weight_gradient)(context, dy, x, weight, sum);
}

Tensor linear(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Epilogue& epilogue, const Prologue& prologue) {
  return linear(context, x, LinearOperand{weight, bias}, epilogue, prologue);
}

Tensor linear(Context& context, const Tensor& x, const LinearOperand& layer, const Epilogue& epilogue,
              const Prologue& prologue) {
  const Tensor &weight = layer.weight, &bias = layer.bias;
  check_linear(context, x, layer, epilogue.residual);
  const Tensor none;
  const Tensor& residual = epilogue.residual == nullptr ? none : *epilogue.residual;
  const Tensor &a = layer.low_rank == nullptr ? kAbsent : layer.low_rank->a,
               &low_b = layer.low_rank == nullptr ? kAbsent : layer.low_rank->b;
  if (tape_for(context, {&x, &weight, &bias, &residual, &norm_weight(prologue), &norm_bias(prologue), &a,
                         &low_b}) != nullptr) {  // a tape records one step at a time
    const Tensor y =
        activation(context, linears(context, x, std::span(&layer, 1), prologue)[0], epilogue.activation);
    return residual.defined() ? add(context, y, residual) : y;
  }
  check_prologue(context, x, prologue);
  Tensor y = context.empty({x.dim(0), weight.dim(0)});
  implementation(context, "linear", cpu::linear)(context, x, layer, epilogue, prologue, y);
  return y;
}

std::vector<Tensor> linears(Context& context, const Tensor& x, std::span<const LinearOperand> operands,
                            const Prologue& prologue) {
  Tape* const tape = tape_of(context);
  if (tape != nullptr && prologue.norm != Prologue::Norm::kNone)
    return linears(context, normed(context, x, prologue), operands);
  for (const LinearOperand& o : operands) check_linear(context, x, o, nullptr);
  check_prologue(context, x, prologue);
  std::vector<Tensor> results, sums(tape != nullptr ? operands.size() : 0);
  std::vector<std::optional<LowRankPass>> adapters(operands.size());
  for (size_t i = 0; i < operands.size(); ++i) {
    const LinearOperand& o = operands[i];
    results.push_back(context.empty({x.dim(0), o.weight.dim(0)}));
    if (tape != nullptr && o.low_rank != nullptr)
      sums[i] = low_rank(context, x, *o.low_rank, adapters[i].emplace());
  }
  Tensor rounded;
  implementation(context, "linear", cpu::linears)(context, x, operands, prologue, sums,
                                                  tape != nullptr ? &rounded : nullptr, results);
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
  if (tape_of(context) != nullptr) {
    const Tensor input = normed(context, x, prologue);
    const std::vector<Tensor> both = linears(context, input, std::array{gate_layer, up_layer});
    return swiglu(context, both[0], both[1]);
  }
  check_linear(context, x, gate_layer, nullptr);
  check_linear(context, x, up_layer, nullptr);
  require(gate.shape() == up.shape() && gate.dtype() == up.dtype(), ErrorCode::kInvalidArgument,
          "[gated_linear] gate {} {} and up {} {} differ", to_string(gate.dtype()), to_string(gate.shape()),
          to_string(up.dtype()), to_string(up.shape()));
  check_prologue(context, x, prologue);
  Tensor y = context.empty({x.dim(0), gate.dim(0)});
  implementation(context, "linear", cpu::gated_linear)(context, x, gate_layer, up_layer, prologue, y);
  return y;
}

}  // namespace vl3::ops
