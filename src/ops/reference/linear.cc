#include "ops/reference/reference.h"

namespace vl3::ops::reference {

Values linear(const Values& x, int64_t k, const Values& w, const Values& bias) {
  const size_t depth = static_cast<size_t>(k), n = w.size() / depth, rows = x.size() / depth;
  Values y(rows * n, 0.0);
  for (size_t t = 0; t < rows; ++t) {
    for (size_t j = 0; j < n; ++j) {
      double sum = bias.empty() ? 0 : bias[j];
      for (size_t i = 0; i < depth; ++i) sum += x[t * depth + i] * w[j * depth + i];
      y[t * n + j] = sum;
    }
  }
  return y;
}

}  // namespace vl3::ops::reference
