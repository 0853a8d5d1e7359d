#include <algorithm>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {

Values bilinear_merge(const Values& x, int64_t height, int64_t width, int64_t merge, int64_t depth) {
  Values grid(x.size());  // [height, width, depth]
  int64_t patch = 0;
  for (int64_t by = 0; by < height; by += merge) {
    for (int64_t bx = 0; bx < width; bx += merge) {
      for (int64_t i = 0; i < merge; ++i) {
        for (int64_t j = 0; j < merge; ++j, ++patch) {
          std::copy_n(x.begin() + patch * depth, depth, grid.begin() + ((by + i) * width + bx + j) * depth);
        }
      }
    }
  }
  Values y;
  for (int64_t oy = 0; oy < height / merge; ++oy) {
    for (int64_t ox = 0; ox < width / merge; ++ox) {
      const double sy = (static_cast<double>(oy) + 0.5) * static_cast<double>(merge) - 0.5;
      const double sx = (static_cast<double>(ox) + 0.5) * static_cast<double>(merge) - 0.5;
      const int64_t y0 = static_cast<int64_t>(sy), x0 = static_cast<int64_t>(sx);
      const int64_t y1 = std::min(y0 + 1, height - 1), x1 = std::min(x0 + 1, width - 1);
      const double fy = sy - static_cast<double>(y0), fx = sx - static_cast<double>(x0);
      for (int64_t d = 0; d < depth; ++d) {
        const auto at = [&](int64_t r, int64_t c) {
          return grid[static_cast<size_t>((r * width + c) * depth + d)];
        };
        y.push_back((1 - fy) * ((1 - fx) * at(y0, x0) + fx * at(y0, x1)) +
                    fy * ((1 - fx) * at(y1, x0) + fx * at(y1, x1)));
      }
    }
  }
  return y;
}

}  // namespace vl3::ops::reference
