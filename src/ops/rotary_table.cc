#include "ops/rotary_table.h"

#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {

RotaryTable rotary_table(Context& context, const Tensor& positions, const Tensor& frequencies,
                         float scaling) {
  require(positions.rank() == 2 && frequencies.rank() == 1 && positions.dtype() == DType::kF32 &&
              frequencies.dtype() == DType::kF32,
          ErrorCode::kInvalidArgument,
          "[rotary_table] positions {} {} and frequencies {} {} should be f32 [T, A] and f32 [W]",
          to_string(positions.dtype()), to_string(positions.shape()), to_string(frequencies.dtype()),
          to_string(frequencies.shape()));
  check_devices(context, "rotary_table", {{"positions", positions}, {"frequencies", frequencies}});
  const Shape shape = {positions.dim(0), positions.dim(1) * frequencies.dim(0)};
  RotaryTable table{context.empty(shape), context.empty(shape)};
  implementation(context, "rotary_table", cpu::rotary_table)(context, positions, frequencies, scaling, table);
  return table;
}

}  // namespace vl3::ops
