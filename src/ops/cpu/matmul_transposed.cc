#include <algorithm>

#include "ops/cpu/matmul_parts.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops {
namespace {

constexpr int64_t kSide = 192;      // of a task's block of C, at most
constexpr int64_t kShortSide = 48;  // to have enough of them

// Of a micro-panel of A as wide as a tile is tall, [k][rows]: whole vectors are stored, past its end.
int64_t a_panel_words(int64_t rows, const Operand& a, const KernelSet& kernels) {
  return std::min(kChain, a.k) * rows + kernels.width;
}

// Rows of a block that is copied soon, brought into the second-level cache by and by.
class Prefetch {
 public:
  // Rows of so many bytes, asked for in so many steps.
  Prefetch(const void* first, int64_t stride, int64_t bytes, int64_t rows, int64_t steps)
      : next_(static_cast<const std::byte*>(first)),
        stride_(stride),
        bytes_(bytes),
        rows_(rows),
        steps_(steps) {}

  void step() {
    for (due_ += rows_; due_ >= steps_; due_ -= steps_, next_ += stride_)
      for (int64_t b = 0; b < bytes_; b += 64) __builtin_prefetch(next_ + b, 0, 2);
  }

 private:
  const std::byte* next_;
  int64_t stride_, bytes_, rows_, steps_, due_ = 0;
};

}  // namespace

template <class Element>
void Multiply::transposed_panels(const Element* all, int64_t elements, int64_t rows_of_w,
                                 void (*multiply)(const Element*, int64_t, const Element*, int64_t, int64_t,
                                                  int64_t, int64_t, float*, int64_t, bool)) const {
  const int64_t rows = rows_of(kernels, task.form), step = kernels.tile_columns, n_total = columns();
  const int64_t stride = a_panel_words(rows, a, kernels), chain = chain_of(a);
  const int64_t m = task.m1 - task.m0, tiles = parts_of(m, rows), panels = parts_of(task.n1 - task.n0, step);
  const int64_t element_bytes = static_cast<int64_t>(size_of(w.dtype()));
  float *panel = scratch, *copy = scratch + std::min(kChain, a.k) * step;
  for (int64_t k0 = 0; k0 < elements; k0 += chain) {
    const int64_t depth = std::min(chain, elements - k0), then = std::min(chain, elements - k0 - depth);
    const Element* block = all + k0 * a.m + task.m0;
    kernels.pack_a_panels(reinterpret_cast<const float*>(block), a.m, m, depth, rows, stride,
                          copy);  // a pair is moved like an f32
    Prefetch next_block(block + depth * a.m, a.m * 4, m * 4, then, tiles * panels);
    for (int64_t n = task.n0; n < task.n1; n += step) {
      const int64_t count = std::min(step, task.n1 - n);
      pack_transposed(n, count, k0, depth, panel);
      const bool last = n + step >= task.n1;
      const int64_t next_k = last ? k0 + depth : k0, next_n = last ? task.n0 : n + step;
      Prefetch next_panel(w.raw() + (next_k * rows_of_w * n_total + next_n) * element_bytes,
                          n_total * element_bytes, step * element_bytes, (last ? then : depth) * rows_of_w,
                          tiles);
      for (int64_t row = task.m0; row < task.m1; row += rows) {
        const int64_t tall = std::min(rows, task.m1 - row);
        float* target = c + row * n_total + n;
        prefetch(target, n_total, tall, count);
        multiply(reinterpret_cast<const Element*>(copy + (row - task.m0) / rows * stride), rows,
                 reinterpret_cast<const Element*>(panel), step, tall, count, depth, target, n_total,
                 task.product->accumulate || k0 > 0);
        next_panel.step();
        next_block.step();
      }
    }
  }
}

void Multiply::transposed() const {
  if (task.form == Form::kBf16Pairs)
    transposed_panels(a.bf16, a.pairs, 2, kernels.tile_pairs_transposed);
  else
    transposed_panels(a.f32, a.k, 1, kernels.tile_transposed);
  finish_rows(task.m0, task.m1 - task.m0);
}

int64_t transposed_words(const Context& context, const Operand& a, const MatmulColumns& product) {
  const KernelSet& kernels = kernels_of(context);
  const int64_t rows = rows_of(kernels, form_of(context, product, a.m));
  return std::min(kChain, a.k) * kernels.tile_columns +
         parts_of(std::min(kSide, a.m), rows) * a_panel_words(rows, a, kernels);
}

// Blocks of C as near to squares as makes enough of them: every task copies its columns of both sides.
void cut_transposed(const Context& context, const Operand& a, const MatmulColumns& product,
                    std::vector<Task>& tasks) {
  const KernelSet& kernels = kernels_of(context);
  const Form form = form_of(context, product, a.m);
  const int64_t n = columns_of(product), enough = 2 * context.threads().size();
  int64_t across = parts_of(n, kSide), down = parts_of(a.m, kSide);
  while (across * down < enough) {
    const bool wide = n / across > a.m / down;
    int64_t& more = wide ? across : down;
    if ((wide ? n : a.m) / (more + 1) < kShortSide) break;
    ++more;
  }
  const int64_t columns = round_up(parts_of(n, across), kernels.tile_columns),
                rows = round_up(parts_of(a.m, down), rows_of(kernels, form));
  append_tasks(product, form, a.m, rows, columns, tasks);
}

}  // namespace vl3::ops
