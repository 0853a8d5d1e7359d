#include <algorithm>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {

Values gather_rows(const Values& x, int64_t width, std::span<const int64_t> rows) {
  Values y;
  for (const int64_t row : rows) y.insert(y.end(), x.begin() + row * width, x.begin() + (row + 1) * width);
  return y;
}

Values scatter_rows(const Values& base, int64_t width, std::span<const int64_t> rows, const Values& source) {
  Values y = base;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(source.begin() + static_cast<int64_t>(i) * width, width, y.begin() + rows[i] * width);
  }
  return y;
}

Values concat_rows(std::span<const Values> parts) {
  Values y;
  for (const Values& part : parts) y.insert(y.end(), part.begin(), part.end());
  return y;
}

Values place_rows(const Values& source, int64_t width, std::span<const int64_t> places, int64_t total) {
  return scatter_rows(Values(static_cast<size_t>(total * width), 0.0), width, places, source);
}

}  // namespace vl3::ops::reference
