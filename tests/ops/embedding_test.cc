// Embedding, on every path, against the oracle.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class Embedding : public EveryPath {};
VL3_EVERY_PATH(Embedding);

TEST_P(Embedding, IsTheRowsThemselves) {
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

TEST(EmbeddingErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(1);
  const Tensor x = random.tensor({4, 6});
  using Ids = std::vector<int64_t>;
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[embedding] 4 is outside [0, 4)", [&] { ops::embedding(context, x, Ids{1, 4}); });
  expect_error(code, "[embedding] -1 is outside", [&] { ops::embedding(context, x, Ids{-1}); });
  expect_error(code, "i32", [&] { ops::embedding(context, Tensor::zeros({2, 2}, DType::kI32), Ids{0}); });
}

}  // namespace
}  // namespace vl3
