#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {
namespace {

// To nearest, ties to even; beyond the largest number infinite.
double nearest_f16(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  const double step = std::ldexp(1.0, std::max(std::ilogb(x), -14) - 10);
  const double rounded = std::nearbyint(x / step) * step;
  return std::abs(rounded) > 65504 ? std::copysign(INFINITY, x) : rounded;
}

// Times Hadamard's matrix / √piece, piece by piece of a power of two, the longest first.
Values rotated(const Values& row) {
  Values y(row.size());
  for (size_t begin = 0; begin < row.size();) {
    const size_t piece = std::bit_floor(row.size() - begin);
    for (size_t i = 0; i < piece; ++i) {
      for (size_t j = 0; j < piece; ++j) {
        const double sign = std::popcount(i & j) % 2 != 0 ? -1 : 1;
        y[begin + i] += sign * row[begin + j] / std::sqrt(static_cast<double>(piece));
      }
    }
    begin += piece;
  }
  return y;
}

// In steps of 1/127 of the largest magnitude.
Values rounded_int8(Values row) {
  double largest = 0;
  for (const double x : row) largest = std::max(largest, std::abs(x));
  const double step = largest / 127;
  for (double& x : row) x = step == 0 ? 0 : std::nearbyint(x / step) * step;
  return row;
}

}  // namespace

Values cache_append(const Values& held, const Values& rows, int64_t heads, int64_t width, CacheType type,
                    const Values& factors) {
  Values result = held;
  for (size_t i = 0; i < rows.size(); i += static_cast<size_t>(width)) {
    const auto begin = rows.begin() + static_cast<int64_t>(i);
    Values row(begin, begin + width);
    const size_t head = i / static_cast<size_t>(width) % static_cast<size_t>(heads);
    for (size_t d = 0; type == CacheType::kInt8 && !factors.empty() && d < row.size(); ++d)
      row[d] /= factors[head * static_cast<size_t>(width) + d];
    if (type == CacheType::kInt8) row = rounded_int8(rotated(row));
    for (double& x : row) x = type == CacheType::kF16 ? nearest_f16(x) : x;
    result.insert(result.end(), row.begin(), row.end());
  }
  return result;
}

}  // namespace vl3::ops::reference
