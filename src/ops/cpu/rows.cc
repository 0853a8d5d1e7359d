#include "ops/rows.h"

#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "ops/cpu/cpu_ops.h"

namespace vl3::ops::cpu {

void place_rows(Context& context, const Tensor& source, std::span<const int64_t> places, const Tensor& y) {
  const int64_t width = source.dim(1);
  const float* from = source.data<float>();
  float* to = y.mutable_data<float>();
  if (y.numel() > 0) std::memset(to, 0, y.bytes());
  context.threads().parallel_for(
      static_cast<int64_t>(places.size()), 64, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i)
          std::copy_n(from + i * width, width, to + places[static_cast<size_t>(i)] * width);
      });
}

}  // namespace vl3::ops::cpu
