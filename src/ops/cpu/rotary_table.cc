#include "ops/rotary_table.h"

#include <cmath>

#include "ops/cpu/cpu_ops.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {

void rotary_table(Context& context, const Tensor& positions, const Tensor& frequencies, float scaling,
                  const RotaryTable& table) {
  const int64_t axes = positions.dim(1), width = frequencies.dim(0), row = axes * width;
  const float *position = positions.data<float>(), *frequency = frequencies.data<float>();
  float *cos = table.cos.mutable_data<float>(), *sin = table.sin.mutable_data<float>();
  context.threads().parallel_for(positions.dim(0), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t a = 0; a < axes; ++a) {
        for (int64_t i = 0; i < width; ++i) {
          const float angle = position[t * axes + a] * frequency[i];
          cos[t * row + a * width + i] = std::cos(angle) * scaling;
          sin[t * row + a * width + i] = std::sin(angle) * scaling;
        }
      }
    }
  });
}

}  // namespace vl3::ops::cpu
