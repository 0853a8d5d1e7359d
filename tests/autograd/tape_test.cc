// What a tape promises besides right derivatives (tape_gradients_test.cc).

#include "autograd/tape.h"

#include "ops/ops_support.h"
#include "runtime/context_parts.h"

namespace vl3 {
namespace {

using namespace test;
using Ids = std::vector<int64_t>;

class TapeRules : public ::testing::Test {
 protected:
  Context context{ContextOptions{.num_threads = 1, .compute = Compute::kF32}};
  Random random{11};
  Tensor one = Tensor::from<float>({1, 3}, std::vector<float>{1, 1, 1});
  Tensor sum(const Tensor& x) { return ops::linear(context, x.reshape({1, 3}), one); }
};

TEST_F(TapeRules, GradientsAccumulateUntilCleared) {
  Tape tape;
  const Tensor w = random.tensor({3});
  tape.watch(w);
  set_tape(context, &tape);
  for (int i = 1; i <= 3; ++i) {
    tape.backward(context, sum(w));
    for (const float g : tape.gradient(w).span<float>()) EXPECT_EQ(g, static_cast<float>(i));
  }
  tape.backward(context, sum(w), 10.0f);
  EXPECT_EQ(tape.gradient(w).data<float>()[0], 13);
  EXPECT_EQ(tape.gradient(w.reshape({3, 1})).data<float>()[0], 13) << "a reshape is the same memory";
  tape.clear_gradients();
  EXPECT_FALSE(tape.gradient(w).defined());
}

TEST_F(TapeRules, AResidualAloneGetsItsGradient) {
  Tape tape;
  const Tensor x = random.tensor({1, 4}), w = random.tensor({3, 4}), residual = random.tensor({1, 3});
  tape.watch(residual);
  set_tape(context, &tape);
  tape.backward(context, sum(ops::linear(context, x, w, {}, {ops::Activation::kSilu, &residual})));
  for (const float g : tape.gradient(residual).span<float>()) EXPECT_EQ(g, 1);
  EXPECT_FALSE(tape.gradient(x).defined() || tape.gradient(w).defined());
}

TEST_F(TapeRules, WithoutATapeOrAParameterNothingIsRecorded) {
  Tape tape;
  const Tensor w = random.tensor({3}), other = random.tensor({3});
  tape.watch(w);
  EXPECT_FALSE(tape.needs_gradient(sum(w))) << "no tape in the context";
  set_tape(context, &tape);
  EXPECT_FALSE(tape.needs_gradient(ops::add(context, other, other))) << "no parameter involved";
  EXPECT_TRUE(tape.needs_gradient(ops::add(context, w, other)));
  tape.clear_steps();
  EXPECT_FALSE(tape.gradient(w).defined());
}

TEST_F(TapeRules, ValuesAreTheSameWithAndWithoutATape) {
  const Tensor x = random.tensor({9, 5}), w = random.tensor({7, 5}), b = random.tensor({7}),
               r = random.tensor({9, 7});
  const auto run = [&] { return ops::linear(context, x, w, b, {ops::Activation::kGeluTanh, &r}); };
  const Tensor plain = run();
  Tape tape;
  tape.watch(w);
  set_tape(context, &tape);
  EXPECT_TRUE(same_bits(run(), plain));
}

TEST_F(TapeRules, ActivationsAreFreedOnTheWayBack) {
  Tape tape;
  const Tensor w = random.tensor({3});
  tape.watch(w);
  set_tape(context, &tape);
  for (int i = 0; i < 3; ++i) {
    Tensor x = w;
    for (int j = 0; j < 20; ++j) x = ops::add(context, x, w);
    EXPECT_GT(context.used_bytes(), 0u);
    tape.backward(context, sum(x));
    x = Tensor();
    EXPECT_EQ(context.used_bytes(), tape.gradient(w).storage()->bytes()) << "nothing but the gradient";
    EXPECT_EQ(tape.gradient(w).data<float>()[0], static_cast<float>(21 * (i + 1)));
  }
}

TEST_F(TapeRules, AnInterruptedWayBackLeavesNothingBehind) {
  Tape tape;
  const Tensor w = random.tensor({3});
  tape.watch(w);
  set_tape(context, &tape);
  {
    const Tensor x = ops::add(context, w, w), broken = ops::add(context, x, w);
    Tensor y = context.empty({3});
    std::copy_n(broken.data<float>(), 3, y.mutable_data<float>());
    tape.record(y,
                [](Context&, Tape&, const Tensor&) { throw Error(ErrorCode::kCancelled, "[test] enough"); });
    const Tensor both = ops::add(context, x, y);  // x has its gradient when y's step throws
    expect_error(ErrorCode::kCancelled, "enough", [&] { tape.backward(context, sum(both)); });
    EXPECT_TRUE(tape.gradient(x).defined());
    tape.clear_steps();
    EXPECT_FALSE(tape.gradient(x).defined()) << "a later tensor may lie at the same address";
  }
  tape.clear_gradients();
  tape.backward(context, sum(ops::add(context, w, w)));
  EXPECT_EQ(tape.gradient(w).data<float>()[0], 2);
}

TEST_F(TapeRules, AGradientThatCameThroughAReshapeHasTheOutputsShape) {
  Tape tape;
  const Tensor w = random.tensor({2, 3});
  tape.watch(w);
  set_tape(context, &tape);
  const Tensor y = ops::add(context, w, w);
  Shape seen;
  Tensor z = context.empty({2, 3});
  std::fill_n(z.mutable_data<float>(), 6, 1.0f);
  tape.record(z, [&](Context&, Tape& t, const Tensor& dz) {
    seen = dz.shape();
    t.add_gradient(context, y, dz);
  });
  const Tensor ones = Tensor::from<float>({1, 6}, std::vector<float>(6, 1.0f));
  tape.backward(context, ops::linear(context, z.reshape({1, 6}), ones));
  EXPECT_EQ(seen, (Shape{2, 3}));
  EXPECT_EQ(tape.gradient(w).shape(), (Shape{2, 3}));
  EXPECT_EQ(tape.gradient(w.reshape({6})).shape(), (Shape{6}));
}

TEST_F(TapeRules, ARecomputedSegmentGivesTheSameBits) {
  const Tensor w = random.tensor({6, 6}), x = random.tensor({4, 6}), rows = random.tensor({1, 24});
  std::vector<Tensor> gradients;
  for (const bool again : {false, true}) {
    Tape tape;
    tape.watch(w);
    set_tape(context, &tape);
    int runs = 0;
    const auto layer = [&](const Tensor& in) {
      ++runs;
      return ops::linear(context, ops::linear(context, in, w), w, {}, {ops::Activation::kSilu, &in});
    };
    Tensor y = x;
    tape.set_recompute(again);
    for (int i = 0; i < 3; ++i) y = segment(context, y, layer);
    const Tensor loss = ops::linear(context, y.reshape({1, 24}), rows);
    tape.backward(context, loss.reshape({1}));
    EXPECT_EQ(tape_of(context), &tape);
    set_tape(context, nullptr);
    EXPECT_EQ(runs, again ? 6 : 3);
    gradients.push_back(tape.gradient(w));
  }
  EXPECT_TRUE(same_bits(gradients[0], gradients[1]));
}

TEST_F(TapeRules, MistakesAreNamed) {
  Tape tape;
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[tape] a parameter to train is f16",
               [&] { tape.watch(random.tensor({2}, DType::kF16)); });
  const Tensor w = random.tensor({3});
  tape.watch(w);
  expect_error(code, "[tape] cannot go back", [&] { tape.backward(context, random.tensor({1})); });
  expect_error(code, "[tape] cannot go back", [&] { tape.backward(context, w); });
}

TEST_F(TapeRules, NoLabelMeansNoGradientButNan) {
  Tape tape;
  const Tensor logits = random.tensor({2, 3});
  tape.watch(logits);
  set_tape(context, &tape);
  const Ids none = {-100, -100};
  const Tensor loss = ops::linear_cross_entropy(context, logits, identity(3), none);
  EXPECT_TRUE(std::isnan(loss.data<float>()[0]));
  tape.backward(context, loss);
  for (const float g : tape.gradient(logits).span<float>()) EXPECT_EQ(g, 0);
}

}  // namespace
}  // namespace vl3
