#include "ops/reference/reference.h"

namespace vl3::ops::reference {

double sum_of_squares(const Values& x) {
  long double sum = 0;
  for (const double value : x) sum += static_cast<long double>(value) * value;
  return static_cast<double>(sum);
}

}  // namespace vl3::ops::reference
