#include <cmath>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {

double narrowed(double x, int digits, int min_exponent) {
  if (x == 0 || !std::isfinite(x)) return x;
  int exponent = 0;
  std::frexp(x, &exponent);  // |x| in [2^(exponent - 1), 2^exponent)
  const double step = std::ldexp(1.0, std::max(exponent - 1, min_exponent) - digits);
  const double rounded = std::nearbyint(x / step) * step;  // the default mode: ties to even
  const int max_exponent = 1 - min_exponent;
  return std::abs(rounded) >= std::ldexp(1.0, max_exponent + 1) ? std::copysign(INFINITY, x) : rounded;
}

}  // namespace vl3::ops::reference
