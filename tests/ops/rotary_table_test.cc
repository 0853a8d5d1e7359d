// Tables of cosines and sines against the oracle.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class RotaryTables : public EveryPath {};
VL3_EVERY_PATH(RotaryTables);

TEST_P(RotaryTables, MatchTheOracle) {
  double largest = 0;
  for (const int64_t axes : {1, 2, 3}) {
    for (const int64_t width : {0, 1, 7, 18, 64}) {
      for (const int64_t tokens : {0, 1, 37}) {
        Random random(static_cast<uint64_t>(100 * axes + width));
        Tensor positions = random.tensor({tokens, axes}, DType::kF32, 30000);
        for (float& p : positions.mutable_span<float>()) p = std::floor(std::abs(p));
        const Tensor frequencies = random.tensor({width});
        Context one(options(1)), three(options(3));
        const ops::RotaryTable table = ops::rotary_table(three, positions, frequencies, 1.25f);
        ASSERT_EQ(table.cos.shape(), (Shape{tokens, axes * width}));
        ASSERT_TRUE(slack_untouched(table.cos) && slack_untouched(table.sin));
        const auto expected = reference::rotary_table(values(positions), axes, values(frequencies), 1.25);
        largest = std::max(
            {largest, largest_error(table.cos, expected.cos), largest_error(table.sin, expected.sin)});
        const ops::RotaryTable again = ops::rotary_table(one, positions, frequencies, 1.25f);
        EXPECT_TRUE(same_bits(table.cos, again.cos) && same_bits(table.sin, again.sin));
      }
    }
  }
  EXPECT_LE(largest, documented("rotary_table"));
  printf("largest error %.3g\n", largest);
}

TEST(RotaryTableErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  const Tensor x = Tensor::zeros({2, 1}, DType::kF32), w = Tensor::zeros({4}, DType::kF32);
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[rotary_table] positions f32 [4] and", [&] { ops::rotary_table(context, w, w, 1); });
  expect_error(code, "frequencies f32 [2, 1]", [&] { ops::rotary_table(context, x, x, 1); });
  expect_error(code, "positions i64", [&] {
    ops::rotary_table(context, Tensor::zeros({2, 1}, DType::kI64), w, 1);
  });
}

}  // namespace
}  // namespace vl3
