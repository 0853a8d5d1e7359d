// The head and its loss, on every path, against the oracle.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class CrossEntropy : public EveryPath {};
VL3_EVERY_PATH(CrossEntropy);

TEST_P(CrossEntropy, OfLabelsThatCount) {
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

TEST(CrossEntropyErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(1);
  const Tensor x = random.tensor({4, 6});
  using Ids = std::vector<int64_t>;
  const auto code = ErrorCode::kInvalidArgument;
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
