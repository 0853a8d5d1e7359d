// Steps of AdamW against the oracle; roundings of bf16 weights.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class Adamw : public EveryPath {};
VL3_EVERY_PATH(Adamw);

// Weights, gradient and moments of n elements; the gradients' sizes differ by orders of magnitude.
struct State {
  Tensor w, gradient, m, v;
  explicit State(int64_t n) {
    Random random(static_cast<uint64_t>(n));
    w = random.tensor({n});
    gradient = random.tensor({n}, DType::kF32, 8);
    for (float& g : gradient.mutable_span<float>()) g = std::exp(g) * (g > 0 ? 1.0f : -1.0f);
    m = Tensor::zeros({n}, DType::kF32);
    v = Tensor::zeros({n}, DType::kF32);
  }
};

TEST_P(Adamw, MatchesTheOracle) {
  double largest = 0;
  for (const int64_t n : {1, 7, 16, 33, 1000, 40001}) {
    State one(n), three(n);
    Values w = values(one.w), m = values(one.m), v = values(one.v);
    Context single(options(1)), several(options(3));
    for (int64_t count = 1; count <= 4; ++count) {
      const ops::AdamwUpdate update{.beta1 = 0.8,
                                    .beta2 = 0.95,
                                    .eps = 1e-6,
                                    .rate = 0.01,
                                    .weight_decay = 0.1,
                                    .gradient_scale = 0.5,
                                    .count = count};
      ops::adamw(single, one.w, one.gradient, one.m, one.v, update);
      ops::adamw(several, three.w, three.gradient, three.m, three.v, update);
      reference::adamw(w, values(one.gradient), m, v, update);
    }
    largest = std::max(largest, largest_error(one.w, w));
    EXPECT_LE(largest_error(one.m, m, absolute(m)), 4e-6);  // a few roundings of f32 each
    EXPECT_LE(largest_error(one.v, v, absolute(v)), 4e-6);
    EXPECT_TRUE(same_bits(one.w, three.w) && same_bits(one.m, three.m) && same_bits(one.v, three.v));
  }
  EXPECT_LE(largest, documented("adamw"));
  printf("largest error %.3g\n", largest);
}

TEST_P(Adamw, Bf16WeightsAreOneOfTheTwoNeighbours) {
  Context context(options(2));
  constexpr int64_t kN = 5003;
  State fine(kN), coarse(kN);
  coarse.w = ops::narrowed(context, fine.w, DType::kBF16);
  fine.w = ops::widened(context, coarse.w);
  const ops::AdamwUpdate update{.rate = 0.003, .count = 1, .seed = 5, .stream = 9};
  ops::adamw(context, fine.w, fine.gradient, fine.m, fine.v, update);
  ops::adamw(context, coarse.w, coarse.gradient, coarse.m, coarse.v, update);
  const Values exact = values(fine.w), rounded = values(coarse.w);
  int64_t up = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    int exponent = 0;
    std::frexp(exact[i], &exponent);
    ASSERT_LT(std::abs(rounded[i] - exact[i]), std::ldexp(1.0, exponent - 8)) << i;
    up += rounded[i] > exact[i];
  }
  EXPECT_GT(up, kN * 2 / 5);  // 5003 even chances: a deviation is 35
  EXPECT_LT(up, kN * 3 / 5);
  EXPECT_TRUE(same_bits(fine.m, coarse.m) && same_bits(fine.v, coarse.v));
}

TEST(AdamwErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  State s(4);
  const auto code = ErrorCode::kInvalidArgument;
  const Tensor five = Tensor::zeros({5}, DType::kF32);
  expect_error(code, "[adamw] the weight is f16",
               [&] { ops::adamw(context, Tensor::zeros({4}, DType::kF16), s.gradient, s.m, s.v, {}); });
  expect_error(code, "[adamw] gradient is f32 [5]; the weight [4]",
               [&] { ops::adamw(context, s.w, five, s.m, s.v, {}); });
  expect_error(code, "[adamw] v is f32 [5]", [&] { ops::adamw(context, s.w, s.gradient, s.m, five, {}); });
  expect_error(code, "[adamw] step 0", [&] { ops::adamw(context, s.w, s.gradient, s.m, s.v, {.count = 0}); });
}

}  // namespace
}  // namespace vl3
