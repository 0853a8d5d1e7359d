// Rotary embedding, on every path, against the oracle.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class Rope : public EveryPath {};
VL3_EVERY_PATH(Rope);

TEST_P(Rope, MatchesTheOracle) {
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

TEST(RopeErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(1);
  const Tensor x = random.tensor({4, 6});
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[rope]", [&] { ops::rope(context, random.tensor({2, 1, 6}), x, x); });
  expect_error(code, "[rope]", [&] { ops::rope(context, random.tensor({4, 1, 3}), x, x); });
}

}  // namespace
}  // namespace vl3
