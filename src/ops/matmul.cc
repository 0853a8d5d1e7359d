#include "ops/matmul.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/matmul_operand.h"
#include "tensor/quantized.h"

namespace vl3::ops {
namespace {

// Panels of W are packed as deep as this, so that a few of them stay in the second-level cache while all rows
// of A pass by.
constexpr int64_t kDepth = 768;  // words
// How many products of f32 are added one after the other: rounding grows faster than a chain's length.
// Joining chains costs a few percent of the time.
constexpr int64_t kChain = 256, kShortChain = 64, kLongRow = 512;
constexpr int64_t kPanels = 4;                // of a task
constexpr int64_t kSide = 192;                // of a task's block where A is turned, at most
constexpr int64_t kShortSide = 48;            // to have enough of them
constexpr int64_t kColumnBytes = 384 << 10;   // of quantised weights in a task, likewise
constexpr int64_t kFewRowsBytes = 128 << 10;  // of weights in a task that streams them: threads end together

// Of a tile.
int64_t rows_of(const KernelSet& kernels, Form form) {
  if (form == Form::kPairs) return kernels.pair_rows;
  return form == Form::kF32 ? kernels.tile_rows : kernels.quad_rows;
}

// Of a strip of a turned A as wide as a tile is tall, [k][rows]: whole vectors are stored, past its end.
int64_t strip_words(int64_t rows, int64_t k, const KernelSet& kernels) {
  return std::min(kChain, k) * rows + kernels.width;
}

int64_t columns_of(const MatmulColumns& product) { return product.w->dim(product.turned ? 1 : 0); }

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// A part of one product: columns [n0, n1) for rows [m0, m1).
struct Task {
  const MatmulColumns* product;
  Form form;
  int64_t n0, n1, m0, m1;
};

// Rows of a block that is copied soon, brought into the second-level cache by and by.
class Ahead {
 public:
  // Rows of so many bytes, asked for in so many steps.
  Ahead(const void* first, int64_t stride, int64_t bytes, int64_t rows, int64_t steps)
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

// What a tile writes when it is done, brought near while it multiplies.
void expect(const float* c, int64_t stride, int64_t rows, int64_t columns) {
  constexpr int64_t kLine = 16;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; j += kLine) __builtin_prefetch(c + i * stride + j, 1);
}

struct Multiply {
  const KernelSet& kernels;
  const Operand& a;
  float* scratch;  // one thread's

  void run(const Task& task) const {
    const MatmulColumns& p = *task.product;
    const bool pair = p.partner_w != nullptr;
    const auto finish = [&](int64_t row, int64_t rows) {
      const int64_t n = columns_of(p);
      for (int64_t i = row; p.finish && i < row + rows; ++i)
        p.finish(i, task.n0, task.n1 - task.n0, p.c + i * n + task.n0);
    };
    if (p.turned) return turned(task, finish);
    if (pair) product(task, *p.partner_w, p.partner_c, [](int64_t, int64_t) {});
    product(task, *p.w, p.c, finish);
  }

 private:
  int64_t chain() const { return a.k < kLongRow ? kShortChain : kChain; }

  template <class Finish>
  void product(const Task& task, const Tensor& w, float* c, Finish&& finish) const {
    if (a.k == 0) {
      for (int64_t i = task.m0; i < task.m1; ++i)
        std::fill(c + i * w.dim(0) + task.n0, c + i * w.dim(0) + task.n1, 0.0f);
      finish(task.m0, task.m1 - task.m0);
    } else if (task.form == Form::kQuads || task.form == Form::kGroups) {
      quantized_tiles(task, w, c, finish);
    } else if (a.m <= kFewRows) {
      few_rows(task, w, c);
      finish(task.m0, task.m1 - task.m0);
    } else if (task.form == Form::kPairs) {
      packed_tiles_bf16(task, w, c, finish);
    } else {
      packed_tiles_f32(task, w, c, finish);
    }
  }

  template <class Finish>
  void quantized_tiles(const Task& task, const Tensor& w, float* c, Finish&& finish) const {
    const int64_t n_total = w.dim(0), bytes = block_bytes(w.dtype(), a.k);
    const auto* blocks = reinterpret_cast<const uint8_t*>(w.raw());
    for (int64_t row = task.m0; row < task.m1; row += kernels.quad_rows) {
      const int64_t m = std::min(kernels.quad_rows, task.m1 - row);
      for (int64_t n = task.n0; n < task.n1; n += kernels.quad_columns) {
        const int64_t columns = std::min(kernels.quad_columns, task.n1 - n);
        const uint8_t* first = blocks + n / kBlockRows * bytes;
        float* target = c + row * n_total + n;
        if (task.form == Form::kQuads) {
          kernels.tile_int8(a.quads + row * a.quad_bytes, a.quad_bytes, a.quad_scales + row, first, bytes, m,
                            columns, a.quad_bytes / 4, target, n_total);
        } else {
          kernels.tile_int4(a.group_bytes + row * a.groups * kInt4Group, a.groups * kInt4Group,
                            a.group_scales + row * a.groups, a.group_sums + row * a.groups, first, bytes, m,
                            columns, a.groups, target, n_total);
        }
      }
      finish(row, m);
    }
  }

  void few_rows(const Task& task, const Tensor& w, float* c) const {
    const int64_t n_total = w.dim(0);
    if (task.form == Form::kPairs) {
      const auto* rows = reinterpret_cast<const uint16_t*>(w.raw());
      kernels.dots_pairs(rows + task.n0 * a.k, a.k, task.n1 - task.n0, a.bf16, a.pairs, a.m, a.k, c + task.n0,
                         n_total);
    } else if (is_quantized(w.dtype())) {
      for (int64_t n = task.n0; n < task.n1; ++n) {
        dequantize_row(w, n, scratch);
        kernels.dots(scratch, WeightType::kF32, a.k, 1, a.f32, a.k, a.m, a.k, c + n, n_total);
      }
    } else {
      const std::byte* rows = w.raw() + task.n0 * a.k * static_cast<int64_t>(size_of(w.dtype()));
      kernels.dots(rows, weight_type(w), a.k, task.n1 - task.n0, a.f32, a.k, a.m, a.k, c + task.n0, n_total);
    }
  }

  // Rows of w are what the panels hold: no transposing.
  template <class Finish>
  void turned(const Task& task, Finish&& finish) const {
    const MatmulColumns& p = *task.product;
    const int64_t n_total = p.w->dim(1), step = kernels.tile_columns;
    if (a.k == 0) {
      for (int64_t i = task.m0; !p.accumulate && i < task.m1; ++i)
        std::fill(p.c + i * n_total + task.n0, p.c + i * n_total + task.n1, 0.0f);
      return finish(task.m0, task.m1 - task.m0);
    }
    const int64_t element = static_cast<int64_t>(size_of(p.w->dtype()));
    const auto at = [&](int64_t k, int64_t n) { return p.w->raw() + (k * n_total + n) * element; };
    const auto pack = [&](int64_t n, int64_t count, int64_t k0, int64_t depth, float* panel) {
      kernels.pack_rows(at(k0, n), weight_type(*p.w), n_total, count, depth, panel);
    };
    const auto pack_pairs = [&](int64_t n, int64_t count, int64_t k0, int64_t depth, float* panel) {
      for (int64_t i = 0; i < depth; ++i) {
        const int64_t k = 2 * (k0 + i);
        pair_up(at(k, n), k + 1 < a.k ? at(k + 1, n) : nullptr, p.w->dtype(), count,
                reinterpret_cast<uint32_t*>(panel) + i * step);
      }
    };
    if (a.turned && task.form == Form::kPairs)
      strips(task, a.bf16, a.pairs, pack_pairs, kernels.tile_pairs_turned);
    else if (a.turned)
      strips(task, a.f32, a.k, pack, kernels.tile_turned);
    else if (task.form == Form::kPairs)
      packed_tiles(task, a.pairs, p.c, n_total, finish, pack_pairs, tile_bf16(n_total));
    else
      packed_tiles(task, a.k, p.c, n_total, finish, pack, tile_f32(n_total));
    if (a.turned) finish(task.m0, task.m1 - task.m0);
  }

  // Where A is turned, both sides are copied: strips of A once for a chain of k, against one panel of w after
  // the other, so that what is copied is little beside what is multiplied. What is copied next is asked for
  // meanwhile.
  template <class Word, class Pack>
  void strips(const Task& task, const Word* all, int64_t words, Pack&& pack,
              void (*multiply)(const Word*, int64_t, const Word*, int64_t, int64_t, int64_t, int64_t, float*,
                               int64_t, bool)) const {
    const MatmulColumns& p = *task.product;
    const int64_t rows = rows_of(kernels, task.form), step = kernels.tile_columns, n_total = columns_of(p);
    const int64_t stride = strip_words(rows, a.k, kernels), chain = this->chain();
    const int64_t m = task.m1 - task.m0, tiles = (m + rows - 1) / rows;
    const int64_t panels = (task.n1 - task.n0 + step - 1) / step;
    const int64_t element = static_cast<int64_t>(size_of(p.w->dtype())),
                  w_rows = task.form == Form::kPairs ? 2 : 1;  // of a word
    float *panel = scratch, *copy = scratch + std::min(kChain, a.k) * step;
    for (int64_t k0 = 0; k0 < words; k0 += chain) {
      const int64_t depth = std::min(chain, words - k0), then = std::min(chain, words - k0 - depth);
      const Word* block = all + k0 * a.m + task.m0;
      kernels.pack_strips(reinterpret_cast<const float*>(block), a.m, m, depth, rows, stride,
                          copy);  // a pair is moved like an f32
      Ahead next_block(block + depth * a.m, a.m * 4, m * 4, then, tiles * panels);
      for (int64_t n = task.n0; n < task.n1; n += step) {
        const int64_t count = std::min(step, task.n1 - n);
        pack(n, count, k0, depth, panel);
        const bool last = n + step >= task.n1;
        const int64_t next_k = last ? k0 + depth : k0, next_n = last ? task.n0 : n + step;
        Ahead next_panel(p.w->raw() + (next_k * w_rows * n_total + next_n) * element, n_total * element,
                         step * element, (last ? then : depth) * w_rows, tiles);
        for (int64_t row = task.m0; row < task.m1; row += rows) {
          const int64_t tall = std::min(rows, task.m1 - row);
          float* target = p.c + row * n_total + n;
          expect(target, n_total, tall, count);
          multiply(reinterpret_cast<const Word*>(copy + (row - task.m0) / rows * stride), rows,
                   reinterpret_cast<const Word*>(panel), step, tall, count, depth, target, n_total,
                   p.accumulate || k0 > 0);
          next_panel.step();
          next_block.step();
        }
      }
    }
  }

  // Two rows of w as one row of pairs of a panel.
  void pair_up(const std::byte* first, const std::byte* second, DType type, int64_t count,
               uint32_t* target) const {
    if (type == DType::kF32) {
      kernels.interleave_pairs(reinterpret_cast<const float*>(first), reinterpret_cast<const float*>(second),
                               count, target);
    } else {
      kernels.interleave_halves(reinterpret_cast<const uint16_t*>(first),
                                reinterpret_cast<const uint16_t*>(second), count, target);
    }
    std::fill(target + count, target + kernels.tile_columns, 0u);
  }

  auto tile_f32(int64_t n_total) const {
    return [this, n_total](int64_t row, int64_t m, const float* panel, int64_t count, int64_t k0,
                           int64_t depth, float* target, bool accumulate) {
      const int64_t step = kernels.tile_columns, chain = this->chain();
      const float* rows = a.f32 + row * a.k + k0;
      for (int64_t k = 0; k < depth; k += chain) {
        kernels.tile(rows + k, a.k, panel + k * step, step, m, count, std::min(chain, depth - k), target,
                     n_total, accumulate || k > 0);
      }
    };
  }
  auto tile_bf16(int64_t n_total) const {
    return [this, n_total](int64_t row, int64_t m, const float* panel, int64_t count, int64_t k0,
                           int64_t depth, float* target, bool accumulate) {
      kernels.tile_pairs(a.bf16 + row * a.pairs + k0, a.pairs, reinterpret_cast<const uint32_t*>(panel),
                         kernels.tile_columns, m, count, depth, target, n_total, accumulate);
    };
  }

  // pack(n, count, k0, depth, panel) fills a panel, tile(row, m, panel, count, k0, depth, target, accumulate)
  // multiplies; both count k in words of the form.
  template <class Finish, class Pack, class Tile>
  void packed_tiles(const Task& task, int64_t words, float* c, int64_t n_total, Finish&& finish, Pack&& pack,
                    Tile&& tile) const {
    const int64_t step = kernels.tile_columns, deepest = std::min(kDepth, words);
    for (int64_t k0 = 0; k0 < words; k0 += deepest) {
      const int64_t depth = std::min(deepest, words - k0);
      const auto panel = [&](int64_t n) { return scratch + (n - task.n0) * deepest; };
      for (int64_t n = task.n0; n < task.n1; n += step)
        pack(n, std::min(step, task.n1 - n), k0, depth, panel(n));
      const int64_t rows = rows_of(kernels, task.form);
      for (int64_t row = task.m0; row < task.m1; row += rows) {
        const int64_t m = std::min(rows, task.m1 - row);
        for (int64_t n = task.n0; n < task.n1; n += step) {
          const int64_t count = std::min(step, task.n1 - n);
          float* target = c + row * n_total + n;
          expect(target, n_total, m, count);
          tile(row, m, panel(n), count, k0, depth, target, task.product->accumulate || k0 > 0);
        }
        if (k0 + depth == words) finish(row, m);
      }
    }
  }

  template <class Finish>
  void packed_tiles_f32(const Task& task, const Tensor& w, float* c, Finish&& finish) const {
    const int64_t n_total = w.dim(0), step = kernels.tile_columns;
    const bool dequantize = is_quantized(w.dtype());
    float* rows = scratch + kPanels * step * std::min(kDepth, a.k);  // dequantised ones
    packed_tiles(
        task, a.k, c, n_total, finish,
        [&](int64_t n, int64_t count, int64_t k0, int64_t depth, float* panel) {
          if (dequantize) {
            for (int64_t i = 0; i < count; ++i) dequantize_row(w, n + i, rows + i * a.k);
            kernels.pack(rows + k0, WeightType::kF32, a.k, count, depth, panel);
          } else {
            const std::byte* first = w.raw() + (n * a.k + k0) * static_cast<int64_t>(size_of(w.dtype()));
            kernels.pack(first, weight_type(w), a.k, count, depth, panel);
          }
        },
        tile_f32(n_total));
  }

  template <class Finish>
  void packed_tiles_bf16(const Task& task, const Tensor& w, float* c, Finish&& finish) const {
    const int64_t n_total = w.dim(0);
    const auto* rows = reinterpret_cast<const uint16_t*>(w.raw());
    packed_tiles(
        task, a.pairs, c, n_total, finish,
        [&](int64_t n, int64_t count, int64_t k0, int64_t depth, float* panel) {
          const bool odd = a.k % 2 != 0 && k0 + depth == a.pairs;
          kernels.pack_pairs(rows + n * a.k + 2 * k0, a.k, count, depth, odd,
                             reinterpret_cast<uint32_t*>(panel));
        },
        tile_bf16(n_total));
  }
};

// Blocks of C as near to squares as makes enough of them: every task copies its columns of both sides.
void cut_turned(const Context& context, const Operand& a, const MatmulColumns& product,
                std::vector<Task>& tasks) {
  const KernelSet& kernels = context.kernels();
  const Form form = form_of(context, product);
  const int64_t n = columns_of(product), enough = 2 * context.threads().size();
  const auto parts = [](int64_t length, int64_t side) { return (length + side - 1) / side; };
  int64_t across = parts(n, kSide), down = parts(a.m, kSide);
  while (across * down < enough) {
    const bool wide = n / across > a.m / down;
    int64_t& more = wide ? across : down;
    if ((wide ? n : a.m) / (more + 1) < kShortSide) break;
    ++more;
  }
  const int64_t columns = round_up(parts(n, across), kernels.tile_columns),
                rows = round_up(parts(a.m, down), rows_of(kernels, form));
  for (int64_t n0 = 0; n0 < n; n0 += columns) {
    for (int64_t m0 = 0; m0 < a.m; m0 += rows)
      tasks.push_back({&product, form, n0, std::min(n0 + columns, n), m0, std::min(m0 + rows, a.m)});
  }
}

// How the columns and rows of a product are cut into tasks: enough of them for the threads, tall ones first,
// since every task packs the weights of its columns or has them in cache.
void cut(const Context& context, const Operand& a, const MatmulColumns& product, std::vector<Task>& tasks) {
  if (a.turned) return cut_turned(context, a, product, tasks);
  const KernelSet& kernels = context.kernels();
  const Form form = form_of(context, product);
  const bool few = a.m <= kFewRows && !product.turned;
  const int64_t n = columns_of(product), threads = context.threads().size();
  const bool quantized = form == Form::kQuads || form == Form::kGroups;
  const int64_t step = quantized ? kernels.quad_columns : few ? 4 : kernels.tile_columns;
  const int64_t row_bytes = static_cast<int64_t>(product.w->bytes()) / std::max<int64_t>(n, 1) + 1;
  int64_t columns = kPanels * kernels.tile_columns;
  if (few)
    columns = round_up(std::max<int64_t>(1, kFewRowsBytes / row_bytes), step);
  else if (quantized)
    columns = round_up(std::max<int64_t>(1, kColumnBytes / row_bytes), step);
  const int64_t enough = (few ? 8 : 4) * threads;
  while (columns > step && (n + columns - 1) / columns < enough) columns = round_up(columns / 2, step);
  const int64_t across = (n + columns - 1) / columns, least = 2 * threads;
  const int64_t wanted = few || across >= least ? 1 : (least + across - 1) / across;
  const int64_t tile = rows_of(kernels, form);
  const int64_t rows = few ? a.m : std::max(tile, round_up((a.m + wanted - 1) / wanted, tile));
  for (int64_t n0 = 0; n0 < n; n0 += columns) {
    for (int64_t m0 = 0; m0 < a.m; m0 += rows) {
      tasks.push_back({&product, form, n0, std::min(n0 + columns, n), m0, std::min(m0 + rows, a.m)});
    }
  }
}

// f32 of scratch that a thread needs.
int64_t scratch_words(const Context& context, const Operand& a, std::span<const MatmulColumns> products) {
  const KernelSet& kernels = context.kernels();
  const int64_t step = kernels.tile_columns;
  if (a.turned) {
    int64_t most = 0;
    for (const MatmulColumns& p : products) {
      const int64_t rows = rows_of(kernels, form_of(context, p));
      most = std::max(most, (std::min(kSide, a.m) + rows - 1) / rows * strip_words(rows, a.k, kernels));
    }
    return std::min(kChain, a.k) * step + most;
  }
  int64_t words = kPanels * step * std::min(kDepth, a.k);
  for (const MatmulColumns& p : products) {
    if (is_quantized(p.w->dtype()) && form_of(context, p) == Form::kF32) return words + step * a.k;
  }
  const bool turned = std::any_of(products.begin(), products.end(), [](const auto& p) { return p.turned; });
  return a.m <= kFewRows && !turned ? 0 : words;
}

}  // namespace

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

Tensor widened(Context& context, const Tensor& tensor) {
  if (!tensor.defined() || tensor.dtype() == DType::kF32) return tensor;
  Tensor result = context.empty(tensor.shape());
  if (is_quantized(tensor.dtype())) {
    const int64_t k = tensor.numel() / std::max<int64_t>(tensor.dim(0), 1);
    for (int64_t n = 0; n < tensor.dim(0); ++n) dequantize_row(tensor, n, result.data<float>() + n * k);
  } else {
    context.kernels().widen(tensor.raw(), weight_type(tensor), tensor.numel(), result.data<float>());
  }
  return result;
}

void matmul(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products) {
  if (rows.m == 0) return;
  for (const MatmulColumns& p : products) {
    if (!is_quantized(p.w->dtype())) weight_type(*p.w);
    require(!rows.turned || p.turned, ErrorCode::kInternal,
            "[matmul] turned rows meet a product that is not");
  }
  const Operand a(context, rows, products);
  std::vector<Task> tasks;
  for (const MatmulColumns& p : products) cut(context, a, p, tasks);
  const int64_t words = round_up(scratch_words(context, a, products), 16);
  const Tensor scratch = context.empty({context.threads().size(), words});
  context.threads().parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t i, int64_t, int thread) {
    Multiply{context.kernels(), a, scratch.data<float>() + thread * words}.run(tasks[static_cast<size_t>(i)]);
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
  float* target = result.data<float>();
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
