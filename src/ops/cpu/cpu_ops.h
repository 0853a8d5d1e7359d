#pragma once
// What the CPU computes: a function for each operation, which ops/NAME.h specifies and ops/NAME.cc has
// checked. Results are there already, uninitialised; operands lie in host memory and are f32 where nothing
// else is said. Another backend has the same list.

#include <span>

#include "ops/adamw.h"
#include "ops/attention.h"
#include "ops/attention_backward.h"
#include "ops/elementwise.h"
#include "ops/index_list.h"
#include "ops/linear.h"
#include "ops/low_rank.h"
#include "ops/rotary_table.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops::cpu {

// linear. adapters: what is added to each product [T, N], or undefined, or an empty list: then that of the
// operands' adapters. rounded: see MatmulRows; may be null.
void linear(Context& context, const Tensor& x, const LinearOperand& layer, const Epilogue& epilogue,
            const Prologue& prologue, const Tensor& y);
void linears(Context& context, const Tensor& x, std::span<const LinearOperand> operands,
             const Prologue& prologue, std::span<const Tensor> adapters, Tensor* rounded,
             std::span<const Tensor> results);
void gated_linear(Context& context, const Tensor& x, const LinearOperand& gate, const LinearOperand& up,
                  const Prologue& prologue, const Tensor& y);
// target = or += dy W; sum += dyᵀ x.
void input_gradient(Context& context, const Tensor& dy, const Tensor& weight, bool accumulate,
                    const Tensor& target);
void weight_gradient(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight,
                     const Tensor& sum);
void column_sums(Context& context, const Tensor& x, const Tensor& sums);

// low_rank: t = scale · A x, y = B t.
void low_rank_pass(Context& context, const Tensor& x, const LowRank& layer, const Tensor& t, const Tensor& y);
void dropped(Context& context, const Tensor& x, const Dropout& dropout, uint32_t stream, const Tensor& y);

// bias_residual: y [T, N] = x + bias [N] + residual [T, N]; either may be undefined.
void add_bias_residual(Context& context, const Tensor& x, const Tensor& bias, const Tensor& residual,
                       const Tensor& y);

// elementwise; scale and zero in place.
void activation(Context& context, const Tensor& x, Activation kind, const Tensor& y);
void activation_backward(Context& context, const Tensor& x, const Tensor& dy, Activation kind,
                         const Tensor& dx);
void swiglu(Context& context, const Tensor& gate, const Tensor& up, const Tensor& y);
void swiglu_backward(Context& context, const Tensor& gate, const Tensor& up, const Tensor& dy,
                     const Tensor& dgate, const Tensor& dup);
void add(Context& context, const Tensor& a, const Tensor& b, const Tensor& y);
void scale(Context& context, const Tensor& x, float factor);
void zero(Context& context, const Tensor& x);

// norm. Gradients of weight and bias are added to sums, which may be undefined.
void layer_norm(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias, float eps,
                const Tensor& y);
void rms_norm(Context& context, const Tensor& x, const Tensor& weight, float eps, const Tensor& y);
void norm_backward(Context& context, bool centred, float eps, const Tensor& x, const Tensor& weight,
                   const Tensor& dy, const Tensor& dx, const Tensor& dweight, const Tensor& dbias);

// rope; opposite: by the negative angles, which is its backward pass.
void rope(Context& context, const Tensor& x, const Tensor& cos, const Tensor& sin, bool opposite,
          const Tensor& y);
void rotary_table(Context& context, const Tensor& positions, const Tensor& frequencies, float scaling,
                  const RotaryTable& table);

// attention
void attention(Context& context, const Tensor& q, std::span<const AttentionSequence> sequences,
               int64_t num_kv_heads, float scale, bool causal, Precision precision, const Tensor& y);
void attention_weights(Context& context, const Tensor& q, const AttentionSequence& sequence,
                       int64_t num_kv_heads, float scale, bool causal, const Tensor& weights);
AttentionGradients attention_backward(Context& context, const AttentionInputs& inputs, const Tensor& dy);

// rows. put_rows: y[targets[i]] = source[i]; add_rows: target[rows[i]] += source[i], but for the row
// `skipped`; zero_rows: rows of target become zero.
void embedding(Context& context, const Tensor& table, const IndexList& ids, const Tensor& y);
void gather_rows(Context& context, const Tensor& x, const IndexList& rows, const Tensor& y);
void scatter_rows(Context& context, const Tensor& base, const IndexList& rows, const Tensor& source,
                  const Tensor& y);
void place_rows(Context& context, const Tensor& source, const IndexList& places, const Tensor& y);
void concat_rows(Context& context, std::span<const Tensor> parts, const Tensor& y);
void put_rows(Context& context, const Tensor& source, const IndexList& targets, const Tensor& y);
void add_rows(Context& context, const Tensor& source, const IndexList& rows, int64_t skipped,
              const Tensor& target);
void zero_rows(Context& context, const IndexList& rows, const Tensor& target);

void bilinear_merge(Context& context, const Tensor& x, int64_t merge, const Tensor& y);
void bilinear_merge_backward(Context& context, const Tensor& dy, int64_t merge, const Tensor& dx);

// cross_entropy: losses of rows of logits [R, V], which become share · (softmax - onehot) unless share is 0.
void cross_entropy(Context& context, const Tensor& logits, std::span<const int64_t> targets, float share,
                   std::span<double> losses);

// convert
void widen(Context& context, const Tensor& tensor, const Tensor& target);
void narrow(Context& context, const Tensor& x, const Tensor& target);

// Of training.
void adamw(Context& context, const Tensor& w, const Tensor& gradient, const Tensor& m, const Tensor& v,
           const AdamwUpdate& update);
double sum_of_squares(Context& context, const Tensor& x);

}  // namespace vl3::ops::cpu
