// Sums of squares against the oracle.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class SumOfSquares : public EveryPath {};
VL3_EVERY_PATH(SumOfSquares);

TEST_P(SumOfSquares, MatchesTheOracleForAnyNumberOfThreads) {
  for (const int64_t n : {0, 1, 9, 16384, 16385, 100001}) {
    const Tensor x = Random(static_cast<uint64_t>(n)).tensor({n}, DType::kF32, 100);
    Context one(options(1)), three(options(3));
    const double sum = ops::sum_of_squares(one, x), expected = reference::sum_of_squares(values(x));
    EXPECT_EQ(sum, ops::sum_of_squares(three, x));
    EXPECT_LE(std::abs(sum - expected), 1e-12 * expected) << n;  // sums of doubles
  }
  Context context(options(1));
  expect_error(ErrorCode::kInvalidArgument, "[sum_of_squares] i32 [2]",
               [&] { ops::sum_of_squares(context, Tensor::zeros({2}, DType::kI32)); });
}

}  // namespace
}  // namespace vl3
