#pragma once
// What the CPU computes: a function for each operation, which ops/NAME.h specifies and ops/NAME.cc has
// checked. Results are there already, uninitialised; operands lie in host memory. Another backend has the
// same list.

#include <span>

#include "ops/adamw.h"
#include "ops/rotary_table.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops::cpu {

void rotary_table(Context& context, const Tensor& positions, const Tensor& frequencies, float scaling,
                  const RotaryTable& table);

void adamw(Context& context, const Tensor& w, const Tensor& gradient, const Tensor& m, const Tensor& v,
           const AdamwUpdate& update);
double sum_of_squares(Context& context, const Tensor& x);

void widen(Context& context, const Tensor& tensor, const Tensor& target);
void narrow(Context& context, const Tensor& x, const Tensor& target);

void place_rows(Context& context, const Tensor& source, std::span<const int64_t> places, const Tensor& y);

// y [T, N] = x + bias [N] (f32) + residual [T, N]; either may be undefined.
void add_bias_residual(Context& context, const Tensor& x, const Tensor& bias, const Tensor& residual,
                       const Tensor& y);

}  // namespace vl3::ops::cpu
