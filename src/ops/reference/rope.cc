#include "ops/reference/reference.h"

namespace vl3::ops::reference {

Values rope(const Values& x, int64_t heads, int64_t width, const Values& cos, const Values& sin) {
  Values y(x.size());
  const size_t half = static_cast<size_t>(width / 2), row = static_cast<size_t>(heads * width);
  for (size_t at = 0; at < x.size(); at += 2 * half) {
    for (size_t i = 0; i < half; ++i) {
      const double c = cos[at / row * half + i], s = sin[at / row * half + i];
      y[at + i] = x[at + i] * c - x[at + half + i] * s;
      y[at + half + i] = x[at + half + i] * c + x[at + i] * s;
    }
  }
  return y;
}

}  // namespace vl3::ops::reference
