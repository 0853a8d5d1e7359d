#include "ops/cpu/matmul.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "ops/cpu/matmul_parts.h"
#include "runtime/context_parts.h"
#include "tensor/quantized.h"
#include "vl3/thread_pool.h"

namespace vl3::ops {
namespace {

// Tasks that stream weights as they lie: their columns (kernels take three or four at once; whole vectors for
// what finishes rows, unless rows of W are long), bytes of weights, so that threads end together, and bytes
// of rows, which stay in the second-level cache.
constexpr int64_t kFewStep = 12, kWideFewStep = 48, kFewColumnBytes = 128 << 10, kFewRowBytes = 512 << 10;
constexpr int64_t kFewTaskRows = 16;  // at least

void multiply(const Multiply& part) {
  const Form form = part.task.form;
  if (part.a.k == 0)
    part.nothing();
  else if (part.a.transposed)
    part.transposed();
  else if (is_int8(form))
    part.quantized();
  else if (part.a.few && !part.task.product->transposed)
    part.few_rows();
  else
    part.packed();
}

void run(const KernelSet& kernels, const Operand& a, const Task& task, float* scratch) {
  const MatmulColumns& p = *task.product;
  if (p.fused_w != nullptr) multiply({kernels, a, scratch, task, *p.fused_w, p.fused_c, false});
  multiply({kernels, a, scratch, task, *p.w, p.c, true});
}

// Columns of a task that streams weights are a multiple of this.
int64_t few_step(const Operand& a, int64_t n, int64_t row_bytes, int64_t least) {
  const bool wide = kWideFewStep * row_bytes <= kFewColumnBytes &&
                    parts_of(n, kWideFewStep) * parts_of(a.m, kFewTaskRows) >= least;
  return wide ? kWideFewStep : kFewStep;
}

// Its rows, where `tall` ones are enough for the threads.
int64_t few_task_rows(const Operand& a, Form form, int64_t tall) {
  const int64_t bytes = 4 * (form == Form::kBf16Pairs ? a.pairs : a.k) + 1;
  const int64_t most = std::max<int64_t>(1, kFewRowBytes / bytes / kFewTaskRows) * kFewTaskRows;
  return std::min(most, round_up(tall, kFewTaskRows));
}

// How the columns and rows of a product are cut into tasks: enough of them for the threads, tall ones first,
// since every task packs the weights of its columns or has them in cache.
void cut(const Context& context, const Operand& a, const MatmulColumns& product, std::vector<Task>& tasks) {
  const int64_t n = columns_of(product), threads = context.threads().size(), least = 2 * threads;
  if (n == 0) return;
  if (a.transposed) return cut_transposed(context, a, product, tasks);
  const KernelSet& kernels = kernels_of(context);
  const Form form = form_of(context, product, a.few);
  const bool few = a.few && !product.transposed, quantized = is_int8(form);
  const int64_t row_bytes = static_cast<int64_t>(product.w->bytes()) / n + 1;
  int64_t step = kernels.tile_columns;
  if (quantized)
    step = kernels.quad_columns;
  else if (few)
    step = few_step(a, n, row_bytes, least);
  int64_t columns = kPanels * step;
  if (few)
    columns = round_up(std::max<int64_t>(1, kFewColumnBytes / row_bytes), step);
  else if (quantized)
    columns = quantized_columns(context, a, product);
  const int64_t enough = (few ? 8 : 4) * threads;
  while (columns > step && parts_of(n, columns) < enough) columns = round_up(columns / 2, step);
  const int64_t across = parts_of(n, columns), asked = few ? enough : least;
  const int64_t tall = parts_of(a.m, across >= asked ? 1 : parts_of(asked, across));
  int64_t rows = round_up(tall, rows_of(kernels, form));
  if (few) rows = quantized ? a.m : few_task_rows(a, form, tall);
  append_tasks(product, form, a.m, rows, columns, tasks);
}

// f32 of scratch that a thread needs.
int64_t scratch_words(const Context& context, const Operand& a, std::span<const MatmulColumns> products) {
  int64_t words = 0;
  for (const MatmulColumns& p : products) {
    const bool few = a.few && !p.transposed;
    if (a.transposed)
      words = std::max(words, transposed_words(context, a, p));
    else if (is_int8(form_of(context, p, a.few)))
      words = std::max(words, quantized_words(context, a, p));
    else if (!few || is_quantized(p.w->dtype()))
      words = std::max(words, packed_words(context, a, p));
  }
  return words;
}

}  // namespace

void Multiply::few_rows() const {
  const int64_t n_total = w.dim(0), rows = task.m1 - task.m0;
  float* target = c + task.m0 * n_total;
  if (task.form == Form::kBf16Pairs) {
    const auto* weights = reinterpret_cast<const uint16_t*>(w.raw());
    kernels.gemv_pairs(weights + task.n0 * a.k, a.k, task.n1 - task.n0, a.bf16 + task.m0 * a.pairs, a.pairs,
                       rows, a.k, target + task.n0, n_total);
  } else if (is_quantized(w.dtype())) {
    for (int64_t n = task.n0; n < task.n1; ++n) {
      dequantize_row(w, n, scratch);
      kernels.gemv(scratch, WeightType::kF32, a.k, 1, a.f32 + task.m0 * a.k, a.k, rows, a.k, target + n,
                   n_total, nullptr);
    }
  } else {
    const std::byte* weights = w.raw() + task.n0 * a.k * static_cast<int64_t>(size_of(w.dtype()));
    kernels.gemv(weights, weight_type(w), a.k, task.n1 - task.n0, a.f32 + task.m0 * a.k, a.k, rows, a.k,
                 target + task.n0, n_total, nullptr);
  }
  finish_rows(task.m0, rows);
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

// Rows that are computed alike, with products that want the same activations.
struct Part {
  const MatmulRows& rows;
  std::span<const MatmulColumns> products;
  bool few;
};

void multiply_parts(Context& context, std::span<const Part> parts) {
  std::vector<Operand> operands;
  operands.reserve(parts.size());
  std::vector<Task> tasks;
  std::vector<const Operand*> operand_of;  // of each task
  int64_t words = 0;
  for (const Part& part : parts) {
    const Operand& a = operands.emplace_back(context, part.rows, part.products, part.few);
    for (const MatmulColumns& p : part.products) cut(context, a, p, tasks);
    operand_of.resize(tasks.size(), &a);
    words = std::max(words, round_up(scratch_words(context, a, part.products), 16));
  }
  const Tensor scratch = context.empty({context.threads().size(), words});
  context.threads().parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t i, int64_t, int thread) {
    context.check_cancelled();  // a layer of a long prompt takes seconds
    const auto task = static_cast<size_t>(i);
    run(kernels_of(context), *operand_of[task], tasks[task], scratch.mutable_data<float>() + thread * words);
  });
}

// Whether few rows and many have the same kernels for these products.
bool one_kernel(const Context& context, std::span<const MatmulColumns> products) {
  return std::ranges::all_of(products, [&](const MatmulColumns& p) {
    const Form few = form_of(context, p, true);
    return is_int8(few) && few == form_of(context, p, false);
  });
}

// The rows of one run and what becomes of them.
struct RunProducts {
  MatmulRows rows;
  std::vector<MatmulColumns> products;
};

RunProducts products_of_run(const MatmulRows& all, std::span<const MatmulColumns> products, int64_t from,
                            int64_t count) {
  RunProducts run{all, {products.begin(), products.end()}};
  run.rows.m = count;
  if (all.data != nullptr) run.rows.data = all.data + from * all.k;
  if (all.prologue)
    run.rows.prologue = [&all, from](int64_t row, float* target) { all.prologue(from + row, target); };
  for (size_t i = 0; i < products.size(); ++i) {
    const MatmulColumns& whole = products[i];
    MatmulColumns& p = run.products[i];
    const int64_t at = from * columns_of(whole);
    p.c += at;
    if (p.fused_c != nullptr) p.fused_c += at;
    if (p.epilogue_reads != nullptr) p.epilogue_reads += at;
    if (!p.epilogue) continue;
    p.epilogue = [&whole, from](int64_t row, int64_t column, int64_t n, float* values) {
      whole.epilogue(from + row, column, n, values);
    };
  }
  return run;
}

void multiply_runs(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products) {
  // A backward pass wants the rows in one piece.
  const bool alike = rows.runs.empty() || rows.rounded != nullptr || one_kernel(context, products);
  if (alike || rows.runs.size() == 1) {
    const Part all{rows, products, alike ? rows.m <= kFewRows : rows.runs[0].few};
    return multiply_parts(context, {&all, 1});
  }
  std::vector<RunProducts> runs;
  runs.reserve(rows.runs.size());  // parts refer to them
  std::vector<Part> parts;
  int64_t from = 0;
  for (const RowRun& run : rows.runs) {
    const RunProducts& own = runs.emplace_back(products_of_run(rows, products, from, run.rows));
    parts.push_back({own.rows, own.products, run.few});
    from += run.rows;
  }
  require(from == rows.m, ErrorCode::kInternal, "[matmul] runs of {} rows, of {}", from, rows.m);
  multiply_parts(context, parts);
}

// Products are computed together where their weights want the same activations.
void multiply_all(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products) {
  const auto quantised = [](const MatmulColumns& p) { return is_quantized(p.w->dtype()); };
  const auto first = std::ranges::find_if(products, quantised);
  if (first == products.end() || rows.k == 0) return multiply_runs(context, rows, products);
  std::vector<MatmulColumns> alike, others;
  for (const MatmulColumns& p : products) {
    require(p.fused_w == nullptr || same_exponents(*p.w, *p.fused_w), ErrorCode::kInvalidArgument,
            "[linear] a gate and what it gates have other exponents of their columns");
    (same_exponents(*first->w, *p.w) ? alike : others).push_back(p);
  }
  multiply_runs(context, rows, alike);
  if (!others.empty()) multiply_all(context, rows, others);
}

}  // namespace

void matmul(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products) {
  if (rows.m == 0) return;
  observe(context, rows, products);
  for (const MatmulColumns& p : products) {
    if (!is_quantized(p.w->dtype())) weight_type(*p.w);
    require(!rows.transposed || p.transposed, ErrorCode::kInternal,
            "[matmul] transposed rows meet a product that is not");
  }
  multiply_all(context, rows, products);
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
    const int64_t whole = real / kernels_of(context).width * kernels_of(context).width;
    if (whole > 0)
      kernels_of(context).transpose(source + r0 * columns, columns, whole, columns, target + r0, rows);
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t r = r0 + whole; r < r0 + real; ++r) target[c * rows + r] = source[r * columns + c];
    }
  });
  return result;
}

}  // namespace vl3::ops
