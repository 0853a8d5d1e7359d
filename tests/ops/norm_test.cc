// Layer and RMS norms, on every path, against the oracle.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class Norms : public EveryPath {};
VL3_EVERY_PATH(Norms);

TEST_P(Norms, MatchTheOracle) {
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

TEST_P(Norms, OfConstantAndFarRows) {
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

TEST(NormErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(1);
  const Tensor x = random.tensor({4, 6}), w = random.tensor({6}), five = random.tensor({5});
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[layer_norm] x [4, 6] and weight [5]",
               [&] { ops::layer_norm(context, x, five, w, 1); });
  expect_error(code, "[layer_norm]", [&] { ops::layer_norm(context, x, w, five, 1); });
  expect_error(code, "[rms_norm]", [&] { ops::rms_norm(context, w, w, 1); });
  expect_error(code, "[rms_norm]", [&] {
    ops::rms_norm(context, random.tensor({2, 0}), random.tensor({0}), 1);
  });
}

}  // namespace
}  // namespace vl3
