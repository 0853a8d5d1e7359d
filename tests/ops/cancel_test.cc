// Long operations notice that their context was cancelled: a layer of a long prompt takes seconds.

#include "ops/linear.h"
#include "ops/ops_support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

TEST(Cancel, IsNoticedWithinAProduct) {
  Context context(ContextOptions{.num_threads = 2});
  const Tensor x = Tensor::zeros({4096, 1024}, DType::kF32), w = Tensor::zeros({1024, 1024}, DType::kF32);
  context.cancel();
  try {
    ops::linear(context, x, w);
    FAIL() << "the product went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  context.clear_cancel();
  EXPECT_EQ(ops::linear(context, x, w).shape(), (Shape{4096, 1024}));
}

}  // namespace
}  // namespace vl3
