// Norms, rotary embedding, operations on rows and cross entropy, on every path, against the oracle.

#include <numeric>

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class Rows : public EveryPath {};
VL3_EVERY_PATH(Rows);

TEST_P(Rows, NormsMatchTheOracle) {
  for (const int threads : {1, 3}) {
    Context context(options(threads));
    double layer = 0, rms = 0;
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const int64_t width : {1, 3, 7, 16, 17, 64, 1152, 1536, 4303}) {
        for (const int64_t rows : {0, 1, 5, 19}) {
          Random random(static_cast<uint64_t>(width + rows));
          const Tensor x = random.tensor({rows, width}, DType::kF32, 4), w = random.tensor({width}, dtype, 2),
                       b = random.tensor({width}, dtype);
          const Tensor y = ops::layer_norm(context, x, w, b, 1e-6f), z = ops::rms_norm(context, x, w, 1e-6f);
          ASSERT_TRUE(slack_untouched(y) && slack_untouched(z));
          if (width > 1)
            layer = std::max(layer,
                             largest_error(y, reference::layer_norm(values(x), values(w), values(b), 1e-6)));
          rms = std::max(rms, largest_error(z, reference::rms_norm(values(x), values(w), 1e-6)));
        }
      }
    }
    EXPECT_LE(layer, documented("layer_norm"));
    EXPECT_LE(rms, documented("rms_norm"));
    printf("largest errors %.3g %.3g\n", layer, rms);
  }
}

TEST_P(Rows, NormsOfConstantAndFarRows) {
  Context context(options(1));
  const Tensor ones = Tensor::from<float>({33}, std::vector<float>(33, 1.0f)),
               zeros = Tensor::zeros({33}, DType::kF32);
  const Tensor same = Tensor::from<float>({1, 33}, std::vector<float>(33, 3.0f));
  const Tensor y = ops::layer_norm(context, same, ones, zeros, 1e-6f);
  for (const float v : y.span<float>()) EXPECT_EQ(v, 0);
  Random random(3);
  Tensor far = random.tensor({1, 33});
  for (float& v : far.mutable_span<float>()) v += 100;
  // The mean of such numbers is right to 100 · 2^-23, which the deviation of 0.58 enlarges.
  EXPECT_LE(largest_error(ops::layer_norm(context, far, ones, zeros, 1e-6f),
                          reference::layer_norm(values(far), Values(33, 1.0), Values(33, 0.0), 1e-6)),
            1e-4);
  const Tensor none = ops::rms_norm(context, Tensor::zeros({2, 33}, DType::kF32), ones, 1e-6f);
  for (const float v : none.span<float>()) EXPECT_EQ(v, 0);
}

TEST_P(Rows, RopeMatchesTheOracle) {
  Context context(options(3));
  for (const int64_t width : {2, 4, 6, 16, 36, 72, 128}) {
    for (const int64_t heads : {1, 3, 16}) {
      for (const int64_t tokens : {0, 1, 37}) {
        Random random(static_cast<uint64_t>(width * heads));
        const Tensor x = random.tensor({tokens, heads, width}), angle = random.tensor({tokens, width / 2});
        Tensor cos = Tensor::empty(angle.shape(), DType::kF32),
               sin = Tensor::empty(angle.shape(), DType::kF32);
        for (int64_t i = 0; i < angle.numel(); ++i) {
          cos.mutable_data<float>()[i] = std::cos(100 * angle.data<float>()[i]);
          sin.mutable_data<float>()[i] = std::sin(100 * angle.data<float>()[i]);
        }
        const Tensor y = ops::rope(context, x, cos, sin);
        ASSERT_TRUE(slack_untouched(y));
        EXPECT_LE(largest_error(y, reference::rope(values(x), heads, width, values(cos), values(sin))),
                  documented("rope"));
      }
    }
  }
}

TEST_P(Rows, EmbeddingsAreTheRowsThemselves) {
  Context context(options());
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const int64_t width : {1, 7, 16, 33}) {
      Random random(1);
      const Tensor table = random.tensor({11, width}, dtype);
      const std::vector<int64_t> ids = {10, 0, 3, 3, 3, 10};
      const Tensor y = ops::embedding(context, table, ids);
      EXPECT_TRUE(slack_untouched(y));
      EXPECT_EQ(values(y), reference::gather_rows(values(table), width, ids));
      EXPECT_EQ(ops::embedding(context, table, {}).shape(), (Shape{0, width}));
    }
  }
}

TEST_P(Rows, GatherScatterConcat) {
  Context context(options());
  Random random(2);
  for (const int64_t width : {1, 5, 64}) {
    const Tensor x = random.tensor({9, width}), source = random.tensor({3, width});
    const std::vector<int64_t> rows = {8, 0, 4}, repeated = {1, 1, 7};
    EXPECT_EQ(values(ops::gather_rows(context, x, repeated)),
              reference::gather_rows(values(x), width, repeated));
    EXPECT_EQ(ops::gather_rows(context, x, {}).shape(), (Shape{0, width}));
    const Tensor before = x.clone();
    EXPECT_EQ(values(ops::scatter_rows(context, x, rows, source)),
              reference::scatter_rows(values(x), width, rows, values(source)));
    EXPECT_TRUE(same_bits(x, before)) << "the base is not to be written";
    EXPECT_TRUE(same_bits(ops::scatter_rows(context, x, {}, source.rows(0, 0)), x));
    const Tensor placed = ops::place_rows(context, source, rows, 10);
    ASSERT_TRUE(slack_untouched(placed));
    EXPECT_EQ(values(placed), reference::place_rows(values(source), width, rows, 10));
    EXPECT_EQ(values(ops::place_rows(context, source.rows(0, 0), {}, 2)), Values(2 * width, 0.0));
    EXPECT_EQ(ops::place_rows(context, source.rows(0, 0), {}, 0).shape(), (Shape{0, width}));
    const std::vector<Tensor> parts = {x, source.rows(0, 0), source};
    Values expected = values(x);
    for (const double v : values(source)) expected.push_back(v);
    EXPECT_EQ(values(ops::concat_rows(context, parts)), expected);
  }
}

TEST_P(Rows, BilinearMergeIsBilinearInterpolation) {
  for (const int threads : {1, 3}) {
    Context context(options(threads));
    for (int64_t merge = 1; merge <= 5; ++merge) {
      for (const auto& [h, w] : {std::pair<int64_t, int64_t>{1, 1}, {2, 3}, {7, 5}, {0, 4}}) {
        for (const int64_t depth : {1, 7, 48}) {
          Random random(static_cast<uint64_t>(merge + h));
          const Tensor x = random.tensor({h * w * merge * merge, depth});
          const Tensor y = ops::bilinear_merge(context, x, merge);
          ASSERT_EQ(y.shape(), (Shape{h * w, depth}));
          EXPECT_LE(
              largest_error(y, reference::bilinear_merge(values(x), h * merge, w * merge, merge, depth)),
              documented("bilinear_merge"));
        }
      }
    }
  }
}

TEST_P(Rows, CrossEntropyOfLabelsThatCount) {
  Context context(options());
  double largest = 0;
  for (const int64_t width : {1, 2, 33, 1000}) {
    for (const int64_t rows : {1, 3, 40}) {
      Random random(static_cast<uint64_t>(width));
      const Tensor logits = random.tensor({rows, width}, DType::kF32, 20);
      std::vector<int64_t> targets;
      for (int64_t i = 0; i < rows; ++i)
        targets.push_back(i % 3 == 1 ? -100
                                     : static_cast<int64_t>(random.next() % static_cast<uint64_t>(width)));
      const double expected = reference::cross_entropy(values(logits), width, targets);
      const float loss =
          ops::linear_cross_entropy(context, logits, identity(width), targets).data<float>()[0];
      largest = std::max(largest, std::abs(loss - expected) / std::max(expected, 1.0));
    }
  }
  EXPECT_LE(largest, documented("cross_entropy"));
  const std::vector<int64_t> none(4, -100);
  EXPECT_TRUE(
      std::isnan(ops::linear_cross_entropy(context, Tensor::zeros({4, 3}, DType::kF32), identity(3), none)
                     .data<float>()[0]));
  EXPECT_TRUE(
      std::isnan(ops::linear_cross_entropy(context, Tensor::zeros({0, 3}, DType::kF32), identity(3), {})
                     .data<float>()[0]));
}

TEST(RowErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(1);
  const Tensor x = random.tensor({4, 6}), w = random.tensor({6}), five = random.tensor({5});
  const auto code = ErrorCode::kInvalidArgument;
  using Ids = std::vector<int64_t>;
  expect_error(code, "[layer_norm] x [4, 6] and weight [5]",
               [&] { ops::layer_norm(context, x, five, w, 1); });
  expect_error(code, "[layer_norm]", [&] { ops::layer_norm(context, x, w, five, 1); });
  expect_error(code, "[rms_norm]", [&] { ops::rms_norm(context, w, w, 1); });
  expect_error(code, "[rms_norm]", [&] {
    ops::rms_norm(context, random.tensor({2, 0}), random.tensor({0}), 1);
  });
  expect_error(code, "[rope]", [&] { ops::rope(context, random.tensor({2, 1, 6}), x, x); });
  expect_error(code, "[rope]", [&] { ops::rope(context, random.tensor({4, 1, 3}), x, x); });
  expect_error(code, "[embedding] 4 is outside [0, 4)", [&] { ops::embedding(context, x, Ids{1, 4}); });
  expect_error(code, "[embedding] -1 is outside", [&] { ops::embedding(context, x, Ids{-1}); });
  expect_error(code, "i32", [&] { ops::embedding(context, Tensor::zeros({2, 2}, DType::kI32), Ids{0}); });
  expect_error(code, "[gather_rows] 9", [&] { ops::gather_rows(context, x, Ids{9}); });
  expect_error(code, "[gather_rows] [6]", [&] { ops::gather_rows(context, w, Ids{0}); });
  expect_error(code, "[scatter_rows] 7", [&] { ops::scatter_rows(context, x, Ids{7}, x.rows(0, 1)); });
  expect_error(code, "[scatter_rows] 2 rows of [4, 6] are to be replaced by [1, 6]", [&] {
    ops::scatter_rows(context, x, Ids{0, 1}, x.rows(0, 1));
  });
  expect_error(code, "[place_rows] 7 is outside [0, 7)",
               [&] { ops::place_rows(context, x.rows(0, 1), Ids{7}, 7); });
  expect_error(code, "[place_rows] [4, 6] to 1 places", [&] { ops::place_rows(context, x, Ids{0}, 7); });
  expect_error(code, "[concat_rows] of nothing", [&] { ops::concat_rows(context, {}); });
  const std::vector<Tensor> unequal = {x, random.tensor({1, 5})};
  expect_error(code, "[concat_rows] [1, 5] below [4, 6]", [&] { ops::concat_rows(context, unequal); });
  expect_error(code, "[bilinear_merge] 4 patches cannot be merged by 3 x 3",
               [&] { ops::bilinear_merge(context, x, 3); });
  expect_error(code, "[bilinear_merge]", [&] { ops::bilinear_merge(context, x, 0); });
  expect_error(code, "[bilinear_merge]", [&] { ops::bilinear_merge(context, x, int64_t{1} << 32); });
  expect_error(code, "[cross_entropy] target 6 is outside [0, 6)", [&] {
    ops::linear_cross_entropy(context, x, identity(6), Ids{0, 1, 2, 6});
  });
  expect_error(code, "target -1 is", [&] {
    ops::linear_cross_entropy(context, x, identity(6), Ids{0, 1, 2, -1});
  });
  expect_error(code, "x [4, 6] and weight [6, 6] for 1 targets",
               [&] { ops::linear_cross_entropy(context, x, identity(6), Ids{0}); });
}

}  // namespace
}  // namespace vl3
