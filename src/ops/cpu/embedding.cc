#include "ops/embedding.h"

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/matmul.h"
#include "runtime/context_parts.h"
#include "tensor/quantized.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {

void embedding(Context& context, const Tensor& table, const IndexList& list, const Tensor& y) {
  const auto ids = list.host();
  const int64_t width = table.dim(1);
  const int64_t row_bytes = width * static_cast<int64_t>(size_of(table.dtype()));
  const bool quantized = is_quantized(table.dtype());
  const WeightType type = quantized ? WeightType::kF32 : weight_type(table);
  const std::byte* source = table.raw();
  float* target = y.mutable_data<float>();
  context.threads().parallel_for(static_cast<int64_t>(ids.size()), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t id = ids[static_cast<size_t>(i)];
      if (quantized)
        dequantize_row(table, id, target + i * width);
      else
        kernels_of(context).widen(source + id * row_bytes, type, width, target + i * width);
    }
  });
}

}  // namespace vl3::ops::cpu
