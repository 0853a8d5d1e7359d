#include "ops/low_rank.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "ops/linear_backward.h"
#include "ops/tape.h"

namespace vl3::ops {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a thread takes at once
constexpr int64_t kDraws = 8;        // 16 bits each, that one block of random numbers makes

void check(int64_t k, int64_t n, const LowRank& layer) {
  const bool good = layer.a.rank() == 2 && layer.b.rank() == 2 && layer.a.dtype() == DType::kF32 &&
                    layer.b.dtype() == DType::kF32 && layer.a.dim(1) == k && layer.b.dim(0) == n &&
                    layer.a.dim(0) == layer.b.dim(1);
  require(good, ErrorCode::kInvalidArgument,
          "[low_rank] A {} {} and B {} {} should be f32, [r, {}] and [{}, r]", to_string(layer.a.dtype()),
          to_string(layer.a.shape()), to_string(layer.b.dtype()), to_string(layer.b.shape()), k, n);
}

MatmulRows rows_of(const Tensor& x) { return {x.data<float>(), x.dim(0), x.dim(1), {}}; }

// scale · A x [T, r]
Tensor narrow(Context& context, const MatmulRows& rows, const LowRank& layer) {
  Tensor t = context.empty({rows.m, layer.a.dim(0)});
  MatmulColumns product{&layer.a, t.data<float>()};
  product.finish = [scale = layer.scale](int64_t, int64_t, int64_t count, float* values) {
    for (int64_t i = 0; i < count; ++i) values[i] *= scale;
  };
  matmul(context, rows, std::span(&product, 1));
  return t;
}

// B t [T, N]; of_rows as in MatmulRows.
Tensor wide(Context& context, const Tensor& t, const LowRank& layer, int64_t of_rows = 0) {
  Tensor y = context.empty({t.dim(0), layer.b.dim(0)});
  MatmulRows rows = rows_of(t);
  rows.of_rows = of_rows;
  const MatmulColumns product{&layer.b, y.data<float>()};
  matmul(context, rows, std::span(&product, 1));
  return y;
}

void multiply(Context& context, Tensor& x, float factor) {
  float* values = x.data<float>();
  context.threads().parallel_for(x.numel(), kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) values[i] *= factor;
  });
}

}  // namespace

Tensor dropped(Context& context, const Tensor& x, const Dropout& dropout, uint32_t stream) {
  const auto threshold = static_cast<uint32_t>(std::lround(dropout.rate * 65536));
  if (threshold == 0) return x;
  const float factor = 65536.0f / static_cast<float>(65536 - threshold);
  Tensor y = context.empty(x.shape());
  const float* source = x.data<float>();
  float* target = y.data<float>();
  const std::array<uint32_t, 2> key = {static_cast<uint32_t>(dropout.seed),
                                       static_cast<uint32_t>(dropout.seed >> 32)};
  const int64_t blocks = (x.numel() + kDraws - 1) / kDraws;
  context.threads().parallel_for(blocks, kGrain / kDraws, [&](int64_t begin, int64_t end, int) {
    for (int64_t block = begin; block < end; ++block) {
      // The last word is never 0, which is what other draws of the seed have there.
      const PhiloxBlock bits =
          philox4x32({static_cast<uint32_t>(block), dropout.step, stream, dropout.pass + 1}, key);
      const int64_t first = block * kDraws, count = std::min(kDraws, x.numel() - first);
      for (int64_t i = 0; i < count; ++i) {
        const uint32_t draw = bits[static_cast<size_t>(i / 2)] >> (i % 2 * 16) & 0xffff;
        target[first + i] = draw < threshold ? 0.0f : source[first + i] * factor;
      }
    }
  });
  return y;
}

Tensor low_rank(Context& context, const MatmulRows& rows, const LowRank& layer, int64_t n) {
  check(rows.k, n, layer);
  return wide(context, narrow(context, rows, layer), layer);
}

Tensor low_rank(Context& context, const MatmulRows& all, const LowRankRows& some, int64_t n) {
  check(all.k, n, *some.layer);
  for (const int64_t row : some.rows) {
    require(row >= 0 && row < all.m, ErrorCode::kInvalidArgument, "[low_rank] row {} of {}", row, all.m);
  }
  MatmulRows rows{all.data, static_cast<int64_t>(some.rows.size()), all.k, {}};
  rows.of_rows = std::max(all.of_rows, all.m);
  rows.prologue = [&all, which = some.rows](int64_t i, float* target) {
    const int64_t row = which[static_cast<size_t>(i)];
    if (all.prologue)
      all.prologue(row, target);
    else
      std::copy_n(all.data + row * all.k, all.k, target);
  };
  return wide(context, narrow(context, rows, *some.layer), *some.layer, rows.of_rows);
}

Tensor low_rank(Context& context, const Tensor& x, const LowRank& layer, LowRankPass& pass) {
  require(x.rank() == 2 && layer.b.rank() == 2, ErrorCode::kInvalidArgument,
          "[low_rank] x {} and B {} should be [T, K] and [N, r]", to_string(x.shape()),
          to_string(layer.b.shape()));
  check(x.dim(1), layer.b.dim(0), layer);
  pass.dropout = context.tape() != nullptr && layer.dropout ? *layer.dropout : Dropout{};
  pass.t = narrow(context, rows_of(dropped(context, x, pass.dropout, layer.stream)), layer);
  return wide(context, pass.t, layer);
}

void low_rank_backward(Context& context, Tape& tape, const Tensor& x, const LowRank& layer,
                       const LowRankPass& pass, const Tensor& dy) {
  if (tape.needs_gradient(layer.b))
    add_weight_gradient(context, dy, pass.t, layer.b, tape.gradient_sum(context, layer.b));
  if (!tape.needs_gradient(x) && !tape.needs_gradient(layer.a)) return;
  Tensor dt = input_gradient(context, dy, layer.b);  // [T, r]
  multiply(context, dt, layer.scale);
  if (tape.needs_gradient(layer.a)) {
    add_weight_gradient(context, dt, dropped(context, x, pass.dropout, layer.stream), layer.a,
                        tape.gradient_sum(context, layer.a));
  }
  if (tape.needs_gradient(x)) {
    const Tensor dx = input_gradient(context, dt, layer.a);
    tape.add_gradient(context, x, dropped(context, dx, pass.dropout, layer.stream));
  }
}

Tensor low_rank(Context& context, const Tensor& x, const LowRank& layer) {
  LowRankPass pass;
  const Tensor y = low_rank(context, x, layer, pass);
  if (Tape* tape = tape_for(context, {&x, &layer.a, &layer.b})) {
    tape->record(y, [x, layer, pass](Context& c, Tape& t, const Tensor& dy) {
      low_rank_backward(c, t, x, layer, pass, dy);
    });
  }
  return y;
}

}  // namespace vl3::ops
