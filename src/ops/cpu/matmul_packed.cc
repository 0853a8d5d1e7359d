#include <algorithm>

#include "ops/cpu/matmul_parts.h"
#include "runtime/context_parts.h"
#include "tensor/quantized.h"

namespace vl3::ops {
namespace {

// Panels are packed as deep as this, so that a few of them stay in the second-level cache while all rows of A
// pass by.
constexpr int64_t kDepth = 768;  // 32-bit elements

// 32-bit elements of a row of A.
int64_t elements_of(const Operand& a, Form form) { return form == Form::kBf16Pairs ? a.pairs : a.k; }

}  // namespace

void Multiply::pack(int64_t n, int64_t count, int64_t k0, int64_t depth, float* panel) const {
  if (task.product->transposed) return pack_transposed(n, count, k0, depth, panel);
  if (task.form == Form::kBf16Pairs) {
    const bool odd = a.k % 2 != 0 && k0 + depth == a.pairs;
    kernels.pack_pairs(reinterpret_cast<const uint16_t*>(w.raw()) + n * a.k + 2 * k0, a.k, count, depth, odd,
                       reinterpret_cast<uint32_t*>(panel));
  } else if (is_quantized(w.dtype())) {
    float* rows = scratch + kPanels * kernels.tile_columns * std::min(kDepth, a.k);
    for (int64_t i = 0; i < count; ++i) dequantize_row(w, n + i, rows + i * a.k);
    kernels.pack(rows + k0, WeightType::kF32, a.k, count, depth, panel);
  } else {
    const std::byte* first = w.raw() + (n * a.k + k0) * static_cast<int64_t>(size_of(w.dtype()));
    kernels.pack(first, weight_type(w), a.k, count, depth, panel);
  }
}

void Multiply::tile(int64_t row, int64_t m, const float* panel, int64_t count, int64_t k0, int64_t depth,
                    float* target) const {
  const int64_t step = kernels.tile_columns, n_total = columns();
  const bool accumulate = task.product->accumulate || k0 > 0;
  if (task.form == Form::kBf16Pairs) {
    kernels.tile_pairs(a.bf16 + row * a.pairs + k0, a.pairs, reinterpret_cast<const uint32_t*>(panel), step,
                       m, count, depth, target, n_total, accumulate);
    return;
  }
  const int64_t chain = chain_of(a);
  const float* rows = a.f32 + row * a.k + k0;
  for (int64_t k = 0; k < depth; k += chain)
    kernels.tile(rows + k, a.k, panel + k * step, step, m, count, std::min(chain, depth - k), target, n_total,
                 accumulate || k > 0);
}

void Multiply::pack_transposed(int64_t n, int64_t count, int64_t k0, int64_t depth, float* panel) const {
  const int64_t step = kernels.tile_columns, element = static_cast<int64_t>(size_of(w.dtype()));
  const auto at = [&](int64_t k) { return w.raw() + (k * w.dim(1) + n) * element; };
  if (task.form != Form::kBf16Pairs)
    return kernels.pack_rows(at(k0), weight_type(w), w.dim(1), count, depth, panel);
  for (int64_t i = 0; i < depth; ++i) {  // two rows of w as one of pairs
    const int64_t k = 2 * (k0 + i);
    const std::byte *first = at(k), *second = k + 1 < a.k ? at(k + 1) : nullptr;
    auto* pairs = reinterpret_cast<uint32_t*>(panel) + i * step;
    if (w.dtype() == DType::kF32) {
      kernels.interleave_pairs(reinterpret_cast<const float*>(first), reinterpret_cast<const float*>(second),
                               count, pairs);
    } else {
      kernels.interleave_halves(reinterpret_cast<const uint16_t*>(first),
                                reinterpret_cast<const uint16_t*>(second), count, pairs);
    }
    std::fill(pairs + count, pairs + step, 0u);
  }
}

void Multiply::packed() const {
  const int64_t step = kernels.tile_columns, rows = rows_of(kernels, task.form);
  const int64_t words = elements_of(a, task.form), deepest = std::min(kDepth, words), n_total = columns();
  const float* const reads = has_epilogue ? task.product->epilogue_reads : nullptr;
  for (int64_t k0 = 0; k0 < words; k0 += deepest) {
    const int64_t depth = std::min(deepest, words - k0);
    for (int64_t n = task.n0; n < task.n1; n += step)
      pack(n, std::min(step, task.n1 - n), k0, depth, scratch + (n - task.n0) * deepest);
    for (int64_t row = task.m0; row < task.m1; row += rows) {
      const int64_t m = std::min(rows, task.m1 - row);
      for (int64_t n = task.n0; n < task.n1; n += step) {
        const int64_t count = std::min(step, task.n1 - n);
        float* target = c + row * n_total + n;
        prefetch(target, n_total, m, count);
        if (reads != nullptr && k0 + depth == words) prefetch(reads + row * n_total + n, n_total, m, count);
        tile(row, m, scratch + (n - task.n0) * deepest, count, k0, depth, target);
      }
      if (k0 + depth == words) finish_rows(row, m);
    }
  }
}

int64_t packed_words(const Context& context, const Operand& a, const MatmulColumns& product) {
  const int64_t step = kernels_of(context).tile_columns;
  const bool dequantizes = is_quantized(product.w->dtype()) && form_of(context, product, a.few) == Form::kF32;
  return kPanels * step * std::min(kDepth, a.k) + (dequantizes ? step * a.k : 0);
}

}  // namespace vl3::ops
