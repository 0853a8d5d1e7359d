#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {

double cross_entropy(const Values& logits, int64_t width, std::span<const int64_t> targets) {
  double sum = 0, count = 0;
  for (size_t t = 0; t < targets.size(); ++t) {
    if (targets[t] == -100) continue;
    const auto row = logits.begin() + static_cast<int64_t>(t) * width;
    const double largest = *std::max_element(row, row + width);
    double total = 0;
    for (int64_t i = 0; i < width; ++i) total += std::exp(row[i] - largest);
    sum += largest + std::log(total) - row[targets[t]];
    count += 1;
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace vl3::ops::reference
