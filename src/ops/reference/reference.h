#pragma once
// Every operation again, naive and in double: what the tests compare with. Tensors are vectors of numbers,
// row after row, and a width; sizes are not checked.

#include <cstdint>
#include <span>
#include <vector>

#include "ops/adamw.h"
#include "ops/linear.h"

namespace vl3::ops::reference {

using Values = std::vector<double>;

// x [T, k], w [n, k], bias [n] or empty → [T, n].
Values linear(const Values& x, int64_t k, const Values& w, const Values& bias);
// scale · B (A x): a [rank, k], b [n, rank].
Values low_rank(const Values& x, int64_t k, const Values& a, const Values& b, int64_t rank, double scale);
Values activation(const Values& x, Activation kind);
Values swiglu(const Values& gate, const Values& up);
Values add(const Values& a, const Values& b);

// x [T, D]; D is the number of weights.
Values layer_norm(const Values& x, const Values& weight, const Values& bias, double eps);
Values rms_norm(const Values& x, const Values& weight, double eps);

// x [T, heads, width], cos and sin [T, width / 2].
Values rope(const Values& x, int64_t heads, int64_t width, const Values& cos, const Values& sin);

// positions [T, axes], frequencies [W] → [T, axes · W] of cosines, and of sines.
struct RotaryTableValues {
  Values cos, sin;
};
RotaryTableValues rotary_table(const Values& positions, int64_t axes, const Values& frequencies,
                               double scaling);

struct AttentionShape {
  int64_t heads, kv_heads, width;
  double scale;
  bool causal;
};
// q [T, heads, width], k and v [S, kv_heads, width]; the whole matrix of scores of a sequence at once.
Values attention(const Values& q, const Values& k, const Values& v, std::span<const int64_t> cu_seqlens_q,
                 std::span<const int64_t> cu_seqlens_k, const AttentionShape& shape);
// [heads, rows, keys] of one sequence.
Values attention_weights(const Values& q, const Values& k, const AttentionShape& shape);

Values gather_rows(const Values& x, int64_t width, std::span<const int64_t> rows);
Values scatter_rows(const Values& base, int64_t width, std::span<const int64_t> rows, const Values& source);

Values place_rows(const Values& source, int64_t width, std::span<const int64_t> places, int64_t total);

// One below the other.
Values concat_rows(std::span<const Values> parts);

// x [T, N], bias [N] or empty, residual [T, N] or empty.
Values add_bias_residual(const Values& x, int64_t n, const Values& bias, const Values& residual);

// One step in double, in place; update says which.
void adamw(Values& w, const Values& gradient, Values& m, Values& v, const AdamwUpdate& update);
double sum_of_squares(const Values& x);
// The nearest number of a type with so many bits behind the leading one and exponents from min_exponent on
// (below it steps stay as they are), ties to even: bf16 7 and -126, f16 10 and -14.
double narrowed(double x, int digits, int min_exponent);
// What the bits of a number of such a type stand for.
double widened(uint16_t bits, int digits, int min_exponent);

// Elements whose draw is below the rate are 0, the others are divided by 1 - rate.
Values dropped(const Values& x, const Dropout& dropout, uint32_t stream);

// Patches of a [height, width] grid in merge-block order: put back in place, interpolated to 1/merge of both
// sides with align_corners off, token after token.
Values bilinear_merge(const Values& x, int64_t height, int64_t width, int64_t merge, int64_t depth);

double cross_entropy(const Values& logits, int64_t width, std::span<const int64_t> targets);

}  // namespace vl3::ops::reference
