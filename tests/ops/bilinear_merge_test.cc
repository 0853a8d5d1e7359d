// Merging of patches, on every path, against bilinear interpolation.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class BilinearMerge : public EveryPath {};
VL3_EVERY_PATH(BilinearMerge);

TEST_P(BilinearMerge, IsBilinearInterpolation) {
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

TEST(BilinearMergeErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(1);
  const Tensor x = random.tensor({4, 6});
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[bilinear_merge] 4 patches cannot be merged by 3 x 3",
               [&] { ops::bilinear_merge(context, x, 3); });
  expect_error(code, "[bilinear_merge]", [&] { ops::bilinear_merge(context, x, 0); });
  expect_error(code, "[bilinear_merge]", [&] { ops::bilinear_merge(context, x, int64_t{1} << 32); });
}

}  // namespace
}  // namespace vl3
