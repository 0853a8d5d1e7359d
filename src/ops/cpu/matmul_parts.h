#pragma once
// How a product is computed: cut into tasks, and each task from weights as they lie or from copies of them.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ops/cpu/matmul.h"
#include "ops/cpu/matmul_operand.h"

namespace vl3::ops {

inline int64_t columns_of(const MatmulColumns& product) { return product.w->dim(product.transposed ? 1 : 0); }

// A part of one product: columns [n0, n1) for rows [m0, m1).
struct Task {
  const MatmulColumns* product;
  Form form;
  int64_t n0, n1, m0, m1;
};

// Tasks of so many rows and columns each, all rows of some columns before the next columns.
inline void append_tasks(const MatmulColumns& product, Form form, int64_t m, int64_t rows, int64_t columns,
                         std::vector<Task>& tasks) {
  const int64_t n = columns_of(product);
  for (int64_t n0 = 0; n0 < n; n0 += columns) {
    for (int64_t m0 = 0; m0 < m; m0 += rows)
      tasks.push_back({&product, form, n0, std::min(n0 + columns, n), m0, std::min(m0 + rows, m)});
  }
}

// One task of one thread.
struct Multiply {
  const KernelSet& kernels;
  const Operand& a;
  float* scratch;  // the thread's: as many elements as packed_words, transposed_words or quantized_words say
  const Task& task;
  // The product's, or its partner's, whose rows have no epilogue.
  const Tensor& w;
  float* c;
  bool has_epilogue;

  // One of these does the task. Panels of W are packed, and all rows of A pass by.
  void packed() const;
  // Where A is transposed, both sides are copied: micro-panels of A once for a chain of k, against one of W
  // after the other, so that what is copied is little beside what is multiplied.
  void transposed() const;
  // Quantised weights are multiplied as they lie, and so are others by few rows, which reads them once.
  void quantized() const;
  void few_rows() const;
  // k is 0.
  void nothing() const;

  // Columns [n, n + count) of w, 32-bit elements [k0, k0 + depth) of each, as a panel; and a panel times rows
  // of A.
  void pack(int64_t n, int64_t count, int64_t k0, int64_t depth, float* panel) const;
  void tile(int64_t row, int64_t m, const float* panel, int64_t count, int64_t k0, int64_t depth,
            float* target) const;
  // Where W is transposed its rows are what panels hold.
  void pack_transposed(int64_t n, int64_t count, int64_t k0, int64_t depth, float* panel) const;
  // rows_of_w: in an element.
  template <class Element>
  void transposed_panels(const Element* all, int64_t elements, int64_t rows_of_w,
                         void (*multiply)(const Element*, int64_t, const Element*, int64_t, int64_t, int64_t,
                                          int64_t, float*, int64_t, bool)) const;
  // C's row stride.
  int64_t columns() const { return columns_of(*task.product); }
  void finish_rows(int64_t row, int64_t rows) const {
    const MatmulColumns& p = *task.product;
    for (int64_t i = row; has_epilogue && p.epilogue && i < row + rows; ++i)
      p.epilogue(i, task.n0, task.n1 - task.n0, c + i * columns() + task.n0);
  }
};

// How many products of f32 are added one after the other: rounding grows faster than a chain's length.
// Joining chains costs a few percent of the time.
inline constexpr int64_t kChain = 256, kShortChain = 64, kLongRow = 512;
inline int64_t chain_of(const Operand& a) { return a.k < kLongRow ? kShortChain : kChain; }

inline int64_t parts_of(int64_t length, int64_t part) { return (length + part - 1) / part; }
inline int64_t round_up(int64_t n, int64_t step) { return parts_of(n, step) * step; }

// Of a tile.
inline int64_t rows_of(const KernelSet& kernels, Form form) {
  if (form == Form::kBf16Pairs) return kernels.pair_rows;
  return form == Form::kF32 ? kernels.tile_rows : kernels.quad_rows;
}

// What a tile, or what finishes its rows, needs when it is done, brought near while it multiplies.
inline void prefetch(const float* c, int64_t stride, int64_t rows, int64_t columns) {
  constexpr int64_t kLine = 16;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; j += kLine) __builtin_prefetch(c + i * stride + j, 1);
}

inline constexpr int64_t kPanels = 4;  // of a task of packed ones
// f32 of scratch that a thread needs.
int64_t packed_words(const Context& context, const Operand& a, const MatmulColumns& product);
int64_t transposed_words(const Context& context, const Operand& a, const MatmulColumns& product);
int64_t quantized_words(const Context& context, const Operand& a, const MatmulColumns& product);
// At most, of a task of quantised weights that many rows pass by.
int64_t quantized_columns(const Context& context, const Operand& a, const MatmulColumns& product);
// Appends the tasks of a product of a transposed A.
void cut_transposed(const Context& context, const Operand& a, const MatmulColumns& product,
                    std::vector<Task>& tasks);

}  // namespace vl3::ops
