#include <cmath>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {

RotaryTableValues rotary_table(const Values& positions, int64_t axes, const Values& frequencies,
                               double scaling) {
  RotaryTableValues table;
  for (size_t token = 0; token < positions.size(); token += static_cast<size_t>(axes)) {
    for (size_t axis = 0; axis < static_cast<size_t>(axes); ++axis) {
      for (const double frequency : frequencies) {
        // An angle is a number of f32 by definition.
        const double angle = static_cast<float>(positions[token + axis] * frequency);
        table.cos.push_back(scaling * std::cos(angle));
        table.sin.push_back(scaling * std::sin(angle));
      }
    }
  }
  return table;
}

}  // namespace vl3::ops::reference
