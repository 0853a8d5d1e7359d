#include "ops/adamw.h"

#include <cmath>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {

void adamw(Values& w, const Values& gradient, Values& m, Values& v, const AdamwUpdate& u) {
  const double t = static_cast<double>(u.count);
  for (size_t i = 0; i < w.size(); ++i) {
    const double g = gradient[i] * u.gradient_scale;
    m[i] = u.beta1 * m[i] + (1 - u.beta1) * g;
    v[i] = u.beta2 * v[i] + (1 - u.beta2) * g * g;
    const double mean = m[i] / (1 - std::pow(u.beta1, t)), square = v[i] / (1 - std::pow(u.beta2, t));
    w[i] -= u.rate * u.weight_decay * w[i];
    w[i] -= u.rate * mean / (std::sqrt(square) + u.eps);
  }
}

}  // namespace vl3::ops::reference
