// Attention on every path against the oracle that holds the whole matrix.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;
using Borders = std::vector<int64_t>;

struct Qkv {
  Tensor q, k, v;
  Qkv(uint64_t seed, int64_t rows, int64_t keys, int64_t heads, int64_t kv_heads, int64_t width) {
    Random random(seed);
    q = random.tensor({rows, heads, width}, DType::kF32, 2);
    k = random.tensor({keys, kv_heads, width}, DType::kF32, 2);
    v = random.tensor({keys, kv_heads, width});
  }
};

// Keys and values in blocks of 64 as a cache holds them, [keys, values][Hkv][64][D], filled up with NaN.
struct Blocks {
  std::vector<std::vector<float>> blocks;
  std::vector<std::byte*> table;
  ops::KeyValueView view;
  Blocks(const Tensor& keys, const Tensor& values_) {
    const int64_t length = keys.dim(0), heads = keys.dim(1), width = keys.dim(2);
    for (int64_t first = 0; first < length; first += 64) {
      std::vector<float> block(static_cast<size_t>(2 * heads * 64 * width), NAN);
      for (auto [plane, source] : {std::pair(0, &keys), std::pair(1, &values_)}) {
        for (int64_t t = first; t < std::min(first + 64, length); ++t) {
          for (int64_t h = 0; h < heads; ++h) {
            std::copy_n(source->data<float>() + (t * heads + h) * width, width,
                        block.begin() + ((plane * heads + h) * 64 + t - first) * width);
          }
        }
      }
      blocks.push_back(std::move(block));
    }
    for (auto& block : blocks) table.push_back(reinterpret_cast<std::byte*>(block.data()));
    view.blocks = table;
    view.v_offset = heads * 64 * width * 4;
    view.block_tokens = 64;
    view.token_stride = width * 4;
    view.head_stride = 64 * width * 4;
    view.length = length;
  }
};

class AttentionOp : public EveryPath {};
VL3_EVERY_PATH(AttentionOp);

TEST_P(AttentionOp, MatchesTheOracleDenseAndInBlocks) {
  Context context(options());
  double largest = 0;
  int count = 0;
  for (const int64_t width : {4, 16, 36, 72, 128}) {
    for (const int64_t group : {1, 2, 6}) {
      for (const bool causal : {false, true}) {
        for (const auto& [rows, keys] : std::vector<std::pair<int64_t, int64_t>>{{1, 1},
                                                                                 {2, 2},
                                                                                 {8, 8},
                                                                                 {9, 9},
                                                                                 {17, 63},
                                                                                 {64, 64},
                                                                                 {65, 65},
                                                                                 {130, 130},
                                                                                 {3, 200},
                                                                                 {140, 257}}) {
          const int64_t kv_heads = 2, heads = kv_heads * group;
          const Qkv in(static_cast<uint64_t>(width * 1000 + rows), rows, keys, heads, kv_heads, width);
          const float scale = 1 / std::sqrt(static_cast<float>(width));
          const Tensor y =
              ops::attention(context, in.q, in.k, in.v, Borders{0, rows}, Borders{0, keys}, scale, causal);
          ASSERT_TRUE(slack_untouched(y));
          const Values expected =
              reference::attention(values(in.q), values(in.k), values(in.v), Borders{0, rows},
                                   Borders{0, keys}, {heads, kv_heads, width, scale, causal});
          const double error = largest_error(y, expected);
          ASSERT_LE(error, documented("attention"))
              << width << ' ' << group << ' ' << rows << ' ' << keys << causal;
          largest = std::max(largest, error);
          const Blocks blocks(in.k, in.v);
          const ops::AttentionSequence sequence{0, rows, blocks.view};
          ASSERT_TRUE(
              same_bits(ops::attention(context, in.q, std::span(&sequence, 1), kv_heads, scale, causal), y))
              << width << ' ' << group << ' ' << rows << ' ' << keys << causal;
          ++count;
        }
      }
    }
  }
  printf("%d attentions equal, largest error %.3g\n", count, largest);
}

TEST_P(AttentionOp, DecodesOneQueryOverAnyNumberOfKeys) {
  Context context(options());
  for (int64_t keys = 1; keys <= 300; ++keys) {
    const Qkv in(static_cast<uint64_t>(keys), 1, keys, 12, 2, 16);
    const Blocks blocks(in.k, in.v);
    const ops::AttentionSequence sequence{0, 1, blocks.view};
    const Tensor y = ops::attention(context, in.q, std::span(&sequence, 1), 2, 0.25f, true);
    ASSERT_LE(largest_error(y, reference::attention(values(in.q), values(in.k), values(in.v), Borders{0, 1},
                                                    Borders{0, keys}, {12, 2, 16, 0.25, true})),
              documented("attention"))
        << keys;
  }
}

TEST_P(AttentionOp, RaggedBatchesEqualOneByOne) {
  for (const bool causal : {false, true}) {
    const Borders borders = {0, 7, 7, 8, 90, 231};
    const Qkv in(9, 231, 231, 6, 3, 36);
    Context context(options(1));
    const Tensor all = ops::attention(context, in.q, in.k, in.v, borders, borders, 0.2f, causal);
    for (size_t i = 0; i + 1 < borders.size(); ++i) {
      const int64_t a = borders[i], b = borders[i + 1];
      const Tensor one = ops::attention(context, in.q.rows(a, b), in.k.rows(a, b), in.v.rows(a, b),
                                        Borders{0, b - a}, Borders{0, b - a}, 0.2f, causal);
      EXPECT_TRUE(same_bits(one, all.rows(a, b).clone())) << i;
    }
    for (const int threads : {2, 3}) {
      Context other(options(threads));
      EXPECT_TRUE(same_bits(ops::attention(other, in.q, in.k, in.v, borders, borders, 0.2f, causal), all));
    }
  }
}

// The last queries of a prompt, or of a draft, one by one, in twos, and so on: the same bits, as long as
// there are few or many of them.
TEST_P(AttentionOp, QueriesDoNotDependOnHowManyComeTogether) {
  for (const auto precision : {ops::Precision::kF32, ops::Precision::kBF16}) {
    const Qkv in(11, 60, 200, 12, 2, 16);
    Context context(options(2, Compute::kAuto));
    const auto last = [&](int64_t count, int64_t keys) {
      const ops::AttentionSequence sequence{0, count,
                                            ops::dense_view(in.k.rows(0, keys), in.v.rows(0, keys))};
      return ops::attention(context, in.q.rows(60 - count, 60), std::span(&sequence, 1), 2, 0.25f, true,
                            precision);
    };
    const Tensor few = last(ops::kFewRows, 200), many = last(60, 200);
    for (int64_t count = 1; count <= 60; ++count) {
      const Tensor& all = count <= ops::kFewRows ? few : many;
      ASSERT_TRUE(same_bits(last(count, 200), all.rows(all.dim(0) - count, all.dim(0)).clone())) << count;
    }
    // And those before them, which see fewer keys.
    const ops::AttentionSequence earlier{0, 5, ops::dense_view(in.k.rows(0, 189), in.v.rows(0, 189))};
    const Tensor part = ops::attention(context, in.q.rows(44, 49), std::span(&earlier, 1), 2, 0.25f, true);
    EXPECT_TRUE(same_bits(part, few.rows(0, 5).clone()));
  }
}

TEST_P(AttentionOp, RowsWithoutKeysAreZero) {
  Context context(options());
  const Qkv in(4, 20, 10, 4, 2, 16);
  for (const bool causal : {false, true}) {
    // Sequence 0 has rows and no keys; rows 0-1 and 18-19 belong to no sequence.
    const Tensor none = in.k.rows(0, 0);
    const std::vector<ops::AttentionSequence> sequences = {{2, 8, ops::dense_view(none, none)},
                                                           {8, 18, ops::dense_view(in.k, in.v)}};
    const Tensor y = ops::attention(context, in.q, sequences, 2, 1.0f, causal);
    for (int64_t row = 0; row < 20; ++row) {
      bool zero = true;
      for (int64_t i = 0; i < 64; ++i) zero = zero && y.data<float>()[row * 64 + i] == 0;
      EXPECT_EQ(zero, row < 8 || row >= 18) << row;
    }
  }
  const Tensor empty = in.q.rows(0, 0);
  EXPECT_EQ(ops::attention(context, empty, in.k, in.v, Borders{0}, Borders{0}, 1, true).numel(), 0);
  EXPECT_EQ(ops::attention(context, empty, in.k, in.v, Borders{0, 0}, Borders{0, 10}, 1, false).numel(), 0);
}

TEST_P(AttentionOp, LargeScoresDoNotOverflow) {
  Context context(options());
  Qkv in(8, 30, 200, 2, 2, 16);
  for (float& x : in.q.mutable_span<float>()) x *= 1000;
  const Tensor y = ops::attention(context, in.q, in.k, in.v, Borders{0, 30}, Borders{0, 200}, 1.0f, false);
  // One ulp of a score of 20 000 is 2e-3, and the probabilities feel it.
  EXPECT_LE(largest_error(y, reference::attention(values(in.q), values(in.k), values(in.v), Borders{0, 30},
                                                  Borders{0, 200}, {2, 2, 16, 1.0, false})),
            2e-2);
}

TEST_P(AttentionOp, NanOfAVisibleKeyIsSeen) {
  Context context(options());
  for (const int64_t rows : {1, 40}) {
    Qkv in(8, rows, 150, 2, 2, 16);
    in.k.mutable_data<float>()[70 * 32 + 3] = NAN;
    const Tensor y =
        ops::attention(context, in.q, in.k, in.v, Borders{0, rows}, Borders{0, 150}, 1.0f, false);
    EXPECT_TRUE(std::isnan(y.data<float>()[0]));
    EXPECT_FALSE(std::isnan(y.data<float>()[16])) << "another head";
  }
}

TEST_P(AttentionOp, WeightsMatchTheOracle) {
  Context context(options(3));
  for (const bool causal : {false, true}) {
    for (const auto& [rows, keys] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 5}, {7, 130}, {0, 4}}) {
      const Qkv in(2, rows, keys, 4, 2, 36);
      const Blocks blocks(in.k, in.v);
      const Tensor p = ops::attention_weights(context, in.q, {0, rows, blocks.view}, 2, 0.3f, causal);
      ASSERT_EQ(p.shape(), (Shape{4, rows, keys}));
      EXPECT_LE(largest_error(
                    p, reference::attention_weights(values(in.q), values(in.k), {4, 2, 36, 0.3f, causal})),
                documented("attention_weights"));
    }
  }
}

TEST(AttentionErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  const Qkv in(1, 4, 3, 4, 2, 8), odd(1, 4, 4, 2, 2, 6), wide(1, 4, 4, 4, 2, 12);
  const auto code = ErrorCode::kInvalidArgument;
  const auto run = [&](const Tensor& q, const Tensor& k, const Tensor& v, Borders bq, Borders bk,
                       bool causal) {
    return [=, &context] { ops::attention(context, q, k, v, bq, bk, 1.0f, causal); };
  };
  expect_error(code, "[attention]", run(odd.q, odd.k, odd.v, {0, 4}, {0, 4}, false));
  expect_error(code, "[attention]", run(in.q, wide.k, wide.v, {0, 4}, {0, 4}, false));
  expect_error(code, "[attention]", run(in.q, in.k, wide.v, {0, 4}, {0, 3}, false));
  expect_error(code, "4 queries behind 3 keys", run(in.q, in.k, in.v, {0, 4}, {0, 3}, true));
  expect_error(code, "[attention]", run(in.q, in.k, in.v, {0, 5}, {0, 3}, false));
  expect_error(code, "[attention]", run(in.q, in.k, in.v, {0, 4}, {0, 1, 3}, false));
  expect_error(code, "[attention]", run(in.q, in.k, in.v, {}, {}, false));
  expect_error(code, "", run(in.q, in.k, in.v, {0, 4}, {0, 4}, false));
  expect_error(code, "[attention]", run(in.q, in.k, in.v, {3, 1}, {0, 3}, false));
  const ops::AttentionSequence sequence{0, 4, ops::dense_view(in.k, in.v)};
  expect_error(code, "[attention]",
               [&] { ops::attention(context, in.q, std::span(&sequence, 1), 3, 1, false); });
  expect_error(code, "[attention]",
               [&] { ops::attention(context, in.q, std::span(&sequence, 1), 0, 1, false); });
}

}  // namespace
}  // namespace vl3
