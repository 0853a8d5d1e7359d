#include <algorithm>

#include "ops/cpu/matmul_parts.h"
#include "runtime/context_parts.h"
#include "tensor/quantized.h"

namespace vl3::ops {
namespace {

constexpr int64_t kColumnBytes = 384 << 10;  // of quantised weights in a task, as they are multiplied

// Whether int4 weights become int8 first.
bool widens(DType dtype, Form form) { return dtype == DType::kInt4 && form == Form::kInt8; }

}  // namespace

// int8 weights are multiplied as they lie, and so are int4 weights by few rows. Many rows pass by int4
// weights that were made int8 once.
void Multiply::quantized() const {
  const int64_t n_total = w.dim(0), step = kernels.quad_columns, stored = block_bytes(w.dtype(), a.k);
  const bool widened = widens(w.dtype(), task.form);
  const int64_t bytes = widened ? block_bytes(DType::kInt8, a.k) : stored;
  const auto tile = task.form == Form::kInt8 ? kernels.tile_int8 : kernels.tile_int4;
  const auto* blocks = reinterpret_cast<const uint8_t*>(blocks_of(w)) + task.n0 / kBlockRows * stored;
  if (widened) {
    auto* wide = reinterpret_cast<uint8_t*>(scratch);
    for (int64_t block = 0; block < parts_of(task.n1 - task.n0, kBlockRows); ++block)
      kernels.int4_to_int8(blocks + block * stored, a.parts, wide + block * bytes);
    blocks = wide;
  }
  const float* const reads = has_epilogue ? task.product->epilogue_reads : nullptr;
  for (int64_t row = task.m0; row < task.m1; row += kernels.quad_rows) {
    const int64_t m = std::min(kernels.quad_rows, task.m1 - row);
    for (int64_t n = task.n0; n < task.n1; n += step) {
      const int64_t count = std::min(step, task.n1 - n);
      prefetch(c + row * n_total + n, n_total, m, count);
      if (reads != nullptr) prefetch(reads + row * n_total + n, n_total, m, count);
      tile(a.quantized(task.form, row), blocks + (n - task.n0) / kBlockRows * bytes, bytes, a.parts, m, count,
           c + row * n_total + n, n_total);
    }
    finish_rows(row, m);
  }
}

int64_t quantized_columns(const Context& context, const Operand& a, const MatmulColumns& product) {
  const bool widened = widens(product.w->dtype(), form_of(context, product, a.few));
  const int64_t row_bytes = block_bytes(widened ? DType::kInt8 : product.w->dtype(), a.k) / kBlockRows;
  return round_up(std::max<int64_t>(1, kColumnBytes / row_bytes), kernels_of(context).quad_columns);
}

int64_t quantized_words(const Context& context, const Operand& a, const MatmulColumns& product) {
  if (!widens(product.w->dtype(), form_of(context, product, a.few))) return 0;
  const int64_t columns =
      std::min(quantized_columns(context, a, product), round_up(columns_of(product), kBlockRows));
  return parts_of(parts_of(columns, kBlockRows) * block_bytes(DType::kInt8, a.k), sizeof(float));
}

}  // namespace vl3::ops
