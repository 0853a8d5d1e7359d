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

double widened(uint16_t bits, int digits, int min_exponent) {
  const int fraction = bits & ((1 << digits) - 1), exponent = bits >> digits & ((1 << (15 - digits)) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << (15 - digits)) - 1) return fraction == 0 ? sign * INFINITY : NAN;
  const int shift = min_exponent - digits;
  if (exponent == 0) return sign * std::ldexp(fraction, shift);
  return sign * std::ldexp((1 << digits) + fraction, exponent - 1 + shift);
}

}  // namespace vl3::ops::reference
