#include "ops/cpu/matmul.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/cpu/matmul_parts.h"
#include "tensor/quantized.h"

namespace vl3::ops {
namespace {

constexpr int64_t kFewStep = 12;  // columns of a task that streams them: kernels take three or four at once
constexpr int64_t kFewRowsBytes = 128 << 10;  // of weights in a task that streams them: threads end together

void multiply(const Multiply& part) {
  const Form form = part.task.form;
  if (part.a.k == 0)
    part.nothing();
  else if (part.a.transposed)
    part.transposed();
  else if (is_int8(form))
    part.quantized();
  else if (part.a.m <= kFewRows && !part.task.product->transposed)
    part.few_rows();
  else
    part.packed();
}

void run(const KernelSet& kernels, const Operand& a, const Task& task, float* scratch) {
  const MatmulColumns& p = *task.product;
  if (p.fused_w != nullptr) multiply({kernels, a, scratch, task, *p.fused_w, p.fused_c, false});
  multiply({kernels, a, scratch, task, *p.w, p.c, true});
}

// How the columns and rows of a product are cut into tasks: enough of them for the threads, tall ones first,
// since every task packs the weights of its columns or has them in cache.
void cut(const Context& context, const Operand& a, const MatmulColumns& product, std::vector<Task>& tasks) {
  if (a.transposed) return cut_transposed(context, a, product, tasks);
  const KernelSet& kernels = context.kernels();
  const Form form = form_of(context, product, a.m);
  const bool few = a.m <= kFewRows && !product.transposed;
  const int64_t n = columns_of(product), threads = context.threads().size();
  const bool quantized = is_int8(form);
  const int64_t step = quantized ? kernels.quad_columns : few ? kFewStep : kernels.tile_columns;
  const int64_t row_bytes = static_cast<int64_t>(product.w->bytes()) / std::max<int64_t>(n, 1) + 1;
  int64_t columns = kPanels * kernels.tile_columns;
  if (few)
    columns = round_up(std::max<int64_t>(1, kFewRowsBytes / row_bytes), step);
  else if (quantized)
    columns = quantized_columns(context, a, product);
  const int64_t enough = (few ? 8 : 4) * threads;
  while (columns > step && parts_of(n, columns) < enough) columns = round_up(columns / 2, step);
  const int64_t across = parts_of(n, columns), least = 2 * threads;
  const int64_t wanted = few || across >= least ? 1 : parts_of(least, across);
  const int64_t tile = rows_of(kernels, form);
  const int64_t rows = few ? a.m : std::max(tile, round_up(parts_of(a.m, wanted), tile));
  append_tasks(product, form, a.m, rows, columns, tasks);
}

// f32 of scratch that a thread needs.
int64_t scratch_words(const Context& context, const Operand& a, std::span<const MatmulColumns> products) {
  int64_t words = 0;
  for (const MatmulColumns& p : products) {
    const bool few = a.m <= kFewRows && !p.transposed;
    if (a.transposed)
      words = std::max(words, transposed_words(context, a, p));
    else if (is_int8(form_of(context, p, a.m)))
      words = std::max(words, quantized_words(context, a, p));
    else if (!few || is_quantized(p.w->dtype()))
      words = std::max(words, packed_words(context, a, p));
  }
  return words;
}

}  // namespace

void Multiply::few_rows() const {
  const int64_t n_total = w.dim(0);
  if (task.form == Form::kBf16Pairs) {
    const auto* rows = reinterpret_cast<const uint16_t*>(w.raw());
    kernels.gemv_pairs(rows + task.n0 * a.k, a.k, task.n1 - task.n0, a.bf16, a.pairs, a.m, a.k, c + task.n0,
                       n_total);
  } else if (is_quantized(w.dtype())) {
    for (int64_t n = task.n0; n < task.n1; ++n) {
      dequantize_row(w, n, scratch);
      kernels.gemv(scratch, WeightType::kF32, a.k, 1, a.f32, a.k, a.m, a.k, c + n, n_total, nullptr);
    }
  } else {
    const std::byte* rows = w.raw() + task.n0 * a.k * static_cast<int64_t>(size_of(w.dtype()));
    kernels.gemv(rows, weight_type(w), a.k, task.n1 - task.n0, a.f32, a.k, a.m, a.k, c + task.n0, n_total,
                 nullptr);
  }
  finish_rows(task.m0, task.m1 - task.m0);
}

void Multiply::nothing() const {
  for (int64_t i = task.m0; !task.product->accumulate && i < task.m1; ++i) {
    float* row = c + i * columns();
    std::fill(row + task.n0, row + task.n1, 0.0f);
  }
  finish_rows(task.m0, task.m1 - task.m0);
}

WeightType weight_type(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kF32:
      return WeightType::kF32;
    case DType::kBF16:
      return WeightType::kBF16;
    case DType::kF16:
      return WeightType::kF16;
    default:
      fail(ErrorCode::kInvalidArgument, "[op] weights are {}, not f32, bf16 or f16",
           to_string(tensor.dtype()));
  }
}

namespace {

// Whether activations are rounded alike for both.
bool same_exponents(const Tensor& a, const Tensor& b) {
  if (!is_quantized(a.dtype()) || !is_quantized(b.dtype())) return true;
  return std::ranges::equal(column_exponents(a), column_exponents(b));
}

// Products are computed together where their weights want the same activations. True: they were not, and are
// now computed one part after the other.
bool computed_apart(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products) {
  const auto quantised = [](const MatmulColumns& p) { return is_quantized(p.w->dtype()); };
  const auto first = std::ranges::find_if(products, quantised);
  if (first == products.end() || rows.k == 0) return false;
  const auto as_first = [&](const MatmulColumns& p) { return same_exponents(*first->w, *p.w); };
  for (const MatmulColumns& p : products) {
    require(p.fused_w == nullptr || same_exponents(*p.w, *p.fused_w), ErrorCode::kInvalidArgument,
            "[linear] a gate and what it gates have other exponents of their columns");
  }
  if (std::ranges::all_of(products, as_first)) return false;
  std::vector<MatmulColumns> alike, others;
  for (const MatmulColumns& p : products) (as_first(p) ? alike : others).push_back(p);
  matmul(context, rows, alike);
  matmul(context, rows, others);
  return true;
}

// Shows the context's observer what goes into products.
void observe(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products) {
  if (!context.observer() || rows.transposed || products[0].transposed) return;
  Tensor inputs = context.empty({rows.m, rows.k});
  for (int64_t i = 0; i < rows.m; ++i) {
    float* row = inputs.mutable_data<float>() + i * rows.k;
    if (rows.prologue)
      rows.prologue(i, row);
    else
      std::copy_n(rows.data + i * rows.k, rows.k, row);
  }
  std::vector<const Tensor*> weights;
  for (const MatmulColumns& p : products) {
    weights.push_back(p.w);
    if (p.fused_w != nullptr) weights.push_back(p.fused_w);
  }
  context.observer()(weights, inputs);
}

}  // namespace

void matmul(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products) {
  if (rows.m > 0) observe(context, rows, products);
  if (rows.m == 0 || computed_apart(context, rows, products)) return;
  for (const MatmulColumns& p : products) {
    if (!is_quantized(p.w->dtype())) weight_type(*p.w);
    require(!rows.transposed || p.transposed, ErrorCode::kInternal,
            "[matmul] transposed rows meet a product that is not");
  }
  const Operand a(context, rows, products);
  std::vector<Task> tasks;
  for (const MatmulColumns& p : products) cut(context, a, p, tasks);
  const int64_t words = round_up(scratch_words(context, a, products), 16);
  const Tensor scratch = context.empty({context.threads().size(), words});
  context.threads().parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t i, int64_t, int thread) {
    run(context.kernels(), a, tasks[static_cast<size_t>(i)], scratch.mutable_data<float>() + thread * words);
  });
}

void matmul(Context& context, const float* a, int64_t m, int64_t k, const Tensor& w, float* c) {
  const MatmulColumns product{&w, c};
  matmul(context, MatmulRows{a, m, k, {}}, std::span(&product, 1));
}

Tensor transposed(Context& context, const Tensor& x) {
  const int64_t rows = x.dim(0), columns = x.dim(1);
  Tensor result = context.empty({columns, rows});
  const float* source = x.data<float>();
  float* target = result.mutable_data<float>();
  constexpr int64_t kBlock = 64;  // rows at once: whole vectors of the result, but for the last
  context.threads().parallel_for((rows + kBlock - 1) / kBlock, 1, [&](int64_t block, int64_t, int) {
    const int64_t r0 = block * kBlock, real = std::min(kBlock, rows - r0);
    const int64_t whole = real / context.kernels().width * context.kernels().width;
    if (whole > 0)
      context.kernels().transpose(source + r0 * columns, columns, whole, columns, target + r0, rows);
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t r = r0 + whole; r < r0 + real; ++r) target[c * rows + r] = source[r * columns + c];
    }
  });
  return result;
}

}  // namespace vl3::ops
