#include <cmath>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {
namespace {

Values norm(const Values& x, const Values& weight, const Values& bias, double eps, bool centred) {
  const size_t width = weight.size();
  Values y(x.size());
  for (size_t row = 0; row < x.size(); row += width) {
    double mean = 0, square = 0;
    for (size_t i = 0; centred && i < width; ++i) mean += x[row + i] / static_cast<double>(width);
    for (size_t i = 0; i < width; ++i) square += (x[row + i] - mean) * (x[row + i] - mean);
    const double deviation = std::sqrt(square / static_cast<double>(width) + eps);
    for (size_t i = 0; i < width; ++i) {
      y[row + i] = (x[row + i] - mean) / deviation * weight[i] + (bias.empty() ? 0 : bias[i]);
    }
  }
  return y;
}

}  // namespace

Values layer_norm(const Values& x, const Values& weight, const Values& bias, double eps) {
  return norm(x, weight, bias, eps, true);
}

Values rms_norm(const Values& x, const Values& weight, double eps) { return norm(x, weight, {}, eps, false); }

}  // namespace vl3::ops::reference
