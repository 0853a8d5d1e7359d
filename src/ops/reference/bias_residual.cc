#include "ops/reference/reference.h"

namespace vl3::ops::reference {

Values add_bias_residual(const Values& x, int64_t n, const Values& bias, const Values& residual) {
  Values y = x;
  for (size_t i = 0; i < y.size(); ++i) {
    if (!bias.empty()) y[i] += bias[i % static_cast<size_t>(n)];
    if (!residual.empty()) y[i] += residual[i];
  }
  return y;
}

}  // namespace vl3::ops::reference
