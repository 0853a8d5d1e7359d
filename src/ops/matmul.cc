#include "ops/matmul.h"

#include <algorithm>

#include "base/check.h"
#include "base/thread_pool.h"

namespace vl3::ops {
namespace {

// Up to this many rows the weights are streamed past the rows; beyond, packing them pays.
constexpr int64_t kFewRows = 8;
// A tile of A (tile_rows × kDepth words) stays in the first-level cache while kPanels panels of W, packed in
// the second-level cache, pass by.
constexpr int64_t kDepth = 384;
constexpr int64_t kPanels = 4;

struct Product {
  Context& context;
  const KernelSet& kernels;
  const float* a;
  int64_t m, k, n;
  const Tensor& w;
  WeightType type;
  float* c;
  const RowFinish& finish;

  const std::byte* weights(int64_t row, int64_t column) const {
    return w.raw() + (row * k + column) * static_cast<int64_t>(size_of(w.dtype()));
  }
  void finish_rows(int64_t row, int64_t rows, int64_t column, int64_t count) const {
    if (!finish) return;
    for (int64_t i = row; i < row + rows; ++i) finish(i, column, count, c + i * n + column);
  }
};

void few_rows(const Product& p) {
  const int64_t threads = p.context.threads().size();
  const int64_t grain = std::clamp<int64_t>(p.n / (threads * 8) / 4 * 4, 4, 256);
  p.context.threads().parallel_for(p.n, grain, [&](int64_t begin, int64_t end, int) {
    p.kernels.dots(p.weights(begin, 0), p.type, p.k, end - begin, p.a, p.k, p.m, p.k, p.c + begin, p.n);
    p.finish_rows(0, p.m, begin, end - begin);
  });
}

// How the columns and rows of C are cut into tasks: enough of them for the threads, tall ones first, since
// every task packs the weights of its columns.
struct Tasks {
  int64_t columns, rows;  // of one task
  int64_t across, down;   // numbers of tasks

  Tasks(const Product& p, int64_t threads) {
    columns = kPanels * p.kernels.tile_columns;
    while (columns > p.kernels.tile_columns && (p.n + columns - 1) / columns < 4 * threads) columns /= 2;
    across = (p.n + columns - 1) / columns;
    const int64_t wanted = across >= 2 * threads ? 1 : (2 * threads + across - 1) / across;
    const int64_t tile = p.kernels.tile_rows;
    rows = std::max(tile, ((p.m + wanted - 1) / wanted + tile - 1) / tile * tile);
    down = (p.m + rows - 1) / rows;
  }
};

// pack(n0, count, k0, depth, target) fills one panel, tile(row, rows, panel, count, k0, depth, column,
// accumulate) multiplies.
template <class Pack, class Tile>
void many_rows(const Product& p, int64_t depth_total, Pack&& pack, Tile&& multiply) {
  const KernelSet& kernels = p.kernels;
  const int64_t threads = p.context.threads().size();
  const Tasks tasks(p, threads);
  const int64_t panel_words = kDepth * kernels.tile_columns;
  const Tensor scratch = p.context.empty({threads, kPanels * panel_words});
  p.context.threads().parallel_for(tasks.across * tasks.down, 1, [&](int64_t task, int64_t, int thread) {
    float* panels = scratch.data<float>() + thread * kPanels * panel_words;
    const int64_t n0 = task / tasks.down * tasks.columns, n1 = std::min(n0 + tasks.columns, p.n);
    const int64_t m0 = task % tasks.down * tasks.rows, m1 = std::min(m0 + tasks.rows, p.m);
    for (int64_t k0 = 0; k0 < depth_total; k0 += kDepth) {
      const int64_t depth = std::min(kDepth, depth_total - k0);
      for (int64_t n = n0; n < n1; n += kernels.tile_columns) {
        pack(n, std::min(kernels.tile_columns, n1 - n), k0, depth,
             panels + (n - n0) / kernels.tile_columns * panel_words);
      }
      for (int64_t row = m0; row < m1; row += kernels.tile_rows) {
        const int64_t rows = std::min(kernels.tile_rows, m1 - row);
        for (int64_t n = n0; n < n1; n += kernels.tile_columns) {
          multiply(row, rows, panels + (n - n0) / kernels.tile_columns * panel_words,
                   std::min(kernels.tile_columns, n1 - n), k0, depth, p.c + row * p.n + n);
        }
        if (k0 + depth == depth_total) p.finish_rows(row, rows, n0, n1 - n0);
      }
    }
  });
}

void many_rows_f32(const Product& p) {
  many_rows(
      p, p.k,
      [&](int64_t n, int64_t count, int64_t k0, int64_t depth, float* target) {
        p.kernels.pack(p.weights(n, k0), p.type, p.k, count, depth, target);
      },
      [&](int64_t row, int64_t rows, const float* panel, int64_t count, int64_t k0, int64_t depth, float* c) {
        p.kernels.tile(p.a + row * p.k + k0, p.k, panel, p.kernels.tile_columns, rows, count, depth, c, p.n,
                       k0 > 0);
      });
}

void many_rows_bf16(const Product& p) {
  const int64_t pairs = (p.k + 1) / 2;
  const Tensor rounded = p.context.empty({p.m, pairs}, DType::kI32);
  uint32_t* a = reinterpret_cast<uint32_t*>(rounded.data<int32_t>());
  p.context.threads().parallel_for(p.m, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) p.kernels.round_pairs(p.a + i * p.k, p.k, a + i * pairs);
  });
  many_rows(
      p, pairs,
      [&](int64_t n, int64_t count, int64_t k0, int64_t depth, float* target) {
        const bool odd = p.k % 2 != 0 && k0 + depth == pairs;
        p.kernels.pack_pairs(reinterpret_cast<const uint16_t*>(p.weights(n, 2 * k0)), p.k, count, depth, odd,
                             reinterpret_cast<uint32_t*>(target));
      },
      [&](int64_t row, int64_t rows, const float* panel, int64_t count, int64_t k0, int64_t depth, float* c) {
        p.kernels.tile_pairs(a + row * pairs + k0, pairs, reinterpret_cast<const uint32_t*>(panel),
                             p.kernels.tile_columns, rows, count, depth, c, p.n, k0 > 0);
      });
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
  context.kernels().widen(tensor.raw(), weight_type(tensor), tensor.numel(), result.data<float>());
  return result;
}

void matmul(Context& context, const float* a, int64_t m, int64_t k, const Tensor& w, float* c,
            const RowFinish& finish) {
  const Product product{context, context.kernels(), a, m, k, w.dim(0), w, weight_type(w), c, finish};
  if (m == 0 || product.n == 0) return;
  if (k == 0) {
    std::fill_n(c, m * product.n, 0.0f);
    product.finish_rows(0, m, 0, product.n);
  } else if (m <= kFewRows) {
    few_rows(product);
  } else if (context.compute() == Compute::kAuto && product.type == WeightType::kBF16 &&
             context.kernels().tile_pairs != nullptr) {
    many_rows_bf16(product);
  } else {
    many_rows_f32(product);
  }
}

Tensor transposed(Context& context, const Tensor& x) {
  const int64_t rows = x.dim(0), columns = x.dim(1);
  Tensor result = context.empty({columns, rows});
  const float* source = x.data<float>();
  float* target = result.data<float>();
  constexpr int64_t kBlock = 32;
  context.threads().parallel_for((columns + kBlock - 1) / kBlock, 1, [&](int64_t block, int64_t, int) {
    const int64_t c0 = block * kBlock, c1 = std::min(c0 + kBlock, columns);
    for (int64_t r0 = 0; r0 < rows; r0 += kBlock) {
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t r = r0; r < std::min(r0 + kBlock, rows); ++r)
          target[c * rows + r] = source[r * columns + c];
      }
    }
  });
  return result;
}

}  // namespace vl3::ops
