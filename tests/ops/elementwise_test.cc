// Activations, swiglu and sums, on every path, against the oracle.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;
using ops::Activation;

class ElementwiseOps : public EveryPath {};
VL3_EVERY_PATH(ElementwiseOps);

TEST_P(ElementwiseOps, MatchTheOracle) {
  Context context(options(3));
  double largest = 0;
  const auto error = [&](const Tensor& y, const Values& expected) {
    Values scale = absolute(expected);
    for (double& v : scale) v = std::max(v, 1.0);
    EXPECT_TRUE(slack_untouched(y));
    const double result = largest_error(y, expected, scale);
    largest = std::max(largest, result);
    return result;
  };
  for (const int64_t n : {0, 1, 3, 7, 15, 16, 17, 33, 1000, 40001}) {
    Random random(static_cast<uint64_t>(n));
    const Tensor a = random.tensor({n}, DType::kF32, 12), b = random.tensor({n}, DType::kF32, 12);
    for (const auto& [kind, name] :
         {std::pair(Activation::kGeluTanh, "gelu_tanh"), std::pair(Activation::kGelu, "gelu"),
          std::pair(Activation::kSilu, "silu")}) {
      EXPECT_LE(error(ops::activation(context, a, kind), reference::activation(values(a), kind)),
                documented(name))
          << n;
    }
    EXPECT_LE(error(ops::swiglu(context, a, b), reference::swiglu(values(a), values(b))),
              documented("swiglu"));
    EXPECT_LE(error(ops::add(context, a, b), reference::add(values(a), values(b))), documented("add"));
  }
  printf("largest error %.3g\n", largest);
}

TEST_P(ElementwiseOps, ActivationsOfExtremes) {
  Context context(options(1));
  const float inf = INFINITY;
  const std::vector<float> x = {0,    -0.0f, 88,     89,     120,    1e4f,    3e38f, -88, -89,
                                -104, -1e4f, -1e35f, -3e38f, 1e-38f, -1e-40f, inf,   NAN};
  const Tensor t = Tensor::from<float>({static_cast<int64_t>(x.size())}, x);
  for (const Activation kind : {Activation::kGeluTanh, Activation::kGelu, Activation::kSilu}) {
    const Tensor y = ops::activation(context, t, kind);
    for (size_t i = 0; i < x.size(); ++i) {
      const float value = y.data<float>()[i];
      if (std::isnan(x[i]))
        EXPECT_TRUE(std::isnan(value));
      else if (x[i] > 80)
        EXPECT_EQ(value, x[i]);
      else
        EXPECT_NEAR(value, 0, 1e-30) << x[i];
    }
  }
}

TEST(ElementwiseErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(1);
  const Tensor x = random.tensor({2, 3}), w = random.tensor({4, 3});
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[add] [2, 3] and [4, 3]", [&] { ops::add(context, x, w); });
  expect_error(code, "[swiglu]", [&] { ops::swiglu(context, x, w); });
  expect_error(ErrorCode::kUnsupported, "\"relu\"", [] { ops::activation_from("relu"); });
  EXPECT_EQ(ops::activation_from("gelu_pytorch_tanh"), Activation::kGeluTanh);
  EXPECT_EQ(ops::activation_from("gelu"), Activation::kGelu);
  EXPECT_EQ(ops::activation_from("silu"), Activation::kSilu);
}

}  // namespace
}  // namespace vl3
