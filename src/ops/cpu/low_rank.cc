#include "ops/cpu/low_rank.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "ops/cpu/cpu_ops.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a thread takes at once
constexpr int64_t kDraws = 8;        // 16 bits each, that one block of random numbers makes

MatmulRows rows_of(const Tensor& x) { return {x.data<float>(), x.dim(0), x.dim(1), {}}; }

// scale · A x [T, r]
void narrow(Context& context, const MatmulRows& rows, const LowRank& layer, const Tensor& t) {
  MatmulColumns product{&layer.a, t.mutable_data<float>()};
  product.epilogue = [scale = layer.scale](int64_t, int64_t, int64_t count, float* values) {
    for (int64_t i = 0; i < count; ++i) values[i] *= scale;
  };
  matmul(context, rows, std::span(&product, 1));
}

// B t [T, N]
void wide(Context& context, const Tensor& t, const LowRank& layer, const Tensor& y,
          std::span<const RowRun> runs = {}) {
  MatmulRows rows = rows_of(t);
  rows.runs = runs;
  const MatmulColumns product{&layer.b, y.mutable_data<float>()};
  matmul(context, rows, std::span(&product, 1));
}

}  // namespace

Tensor low_rank(Context& context, const MatmulRows& rows, const LowRank& layer, int64_t n) {
  check_low_rank(context, rows.k, n, layer);
  const Tensor t = context.empty({rows.m, layer.a.dim(0)}), y = context.empty({rows.m, n});
  narrow(context, rows, layer, t);
  wide(context, t, layer, y, rows.runs);
  return y;
}

Tensor low_rank(Context& context, const MatmulRows& all, const LowRankRows& some, int64_t n) {
  const LowRank& layer = *some.layer;
  check_low_rank(context, all.k, n, layer);
  MatmulRows rows{all.data, static_cast<int64_t>(some.rows.size()), all.k, {}};
  const RowRun alike{all.m, all.m <= kFewRows};
  const std::vector<RowRun> runs =
      runs_of_rows(all.runs.empty() ? std::span(&alike, 1) : all.runs, some.rows);
  rows.runs = runs;
  rows.prologue = [&all, which = some.rows](int64_t i, float* target) {
    const int64_t row = which[static_cast<size_t>(i)];
    if (all.prologue)
      all.prologue(row, target);
    else
      std::copy_n(all.data + row * all.k, all.k, target);
  };
  const Tensor t = context.empty({rows.m, layer.a.dim(0)}), y = context.empty({rows.m, n});
  narrow(context, rows, layer, t);
  wide(context, t, layer, y, runs);
  return y;
}

void low_rank_pass(Context& context, const Tensor& x, const LowRank& layer, const Tensor& t,
                   const Tensor& y) {
  narrow(context, rows_of(x), layer, t);
  wide(context, t, layer, y);
}

void dropped(Context& context, const Tensor& x, const Dropout& dropout, uint32_t stream, const Tensor& y) {
  const auto threshold = static_cast<uint32_t>(std::lround(dropout.rate * 65536));
  const float factor = 65536.0f / static_cast<float>(65536 - threshold);
  const float* source = x.data<float>();
  float* target = y.mutable_data<float>();
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
}

}  // namespace vl3::ops::cpu
