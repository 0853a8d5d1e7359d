// What is added to a product after a sum over ranks, and the choice between that and the fused way.

#include "autograd/tape.h"
#include "ops/ops_support.h"
#include "runtime/context_parts.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class BiasResidual : public EveryPath {};
VL3_EVERY_PATH(BiasResidual);

TEST_P(BiasResidual, MatchesTheOracle) {
  const Tensor none;
  double largest = 0;
  for (const int threads : {1, 3}) {
    Context context(options(threads));
    for (const DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const int64_t n : {1, 7, 16, 33}) {
        for (const int64_t rows : {0, 1, 19}) {
          Random random(static_cast<uint64_t>(n + rows));
          const Tensor x = random.tensor({rows, n}), bias = random.tensor({n}, type),
                       residual = random.tensor({rows, n});
          for (const bool with_bias : {false, true}) {
            for (const bool with_residual : {false, true}) {
              const Tensor& b = with_bias ? bias : none;
              const Tensor& r = with_residual ? residual : none;
              const Tensor y = ops::add_bias_residual(context, x, b, r);
              ASSERT_TRUE(slack_untouched(y));
              largest = std::max(largest, largest_error(y, reference::add_bias_residual(
                                                               values(x), n, with_bias ? values(b) : Values{},
                                                               with_residual ? values(r) : Values{})));
            }
          }
        }
      }
    }
  }
  EXPECT_LE(largest, documented("add_bias_residual"));
  printf("largest error %.3g\n", largest);
}

// One rank that has everything: the sum changes nothing, so both ways give the same bits.
TEST_P(BiasResidual, AWholeProductIsTheSameBitsBothWays) {
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    for (const DType type : {DType::kF32, DType::kBF16}) {
      for (const int64_t rows : {1, 16, 37}) {
        Context fused(options(2, compute)), apart(options(3, compute));
        int sums = 0;
        apart.set_all_reduce([&](Context&, const Tensor& sum) { sums += sum.dim(1) == 33; });
        Random random(9);
        const Tensor x = random.tensor({rows, 70}), w = random.tensor({33, 70}, type),
                     bias = random.tensor({33}, type), residual = random.tensor({rows, 33});
        const ops::LinearOperand layer{w, bias};
        EXPECT_TRUE(same_bits(ops::row_parallel_linear(fused, x, layer, residual),
                              ops::row_parallel_linear(apart, x, layer, residual)));
        EXPECT_TRUE(same_bits(ops::row_parallel_linear(fused, x, layer, {}),
                              ops::row_parallel_linear(apart, x, layer, {})));
        EXPECT_EQ(sums, 2);
      }
    }
  }
}

// Two ranks with half of K each, one after the other: what the first one made is added to the second's.
TEST_P(BiasResidual, HalvesAddUp) {
  Random random(3);
  constexpr int64_t kRows = 21, kK = 96, kN = 17, kHalf = kK / 2;
  const Tensor x = random.tensor({kRows, kK}), w = random.tensor({kN, kK}), bias = random.tensor({kN}),
               residual = random.tensor({kRows, kN}), a = random.tensor({4, kK}), b = random.tensor({kN, 4});
  const auto half = [](const Tensor& t, int64_t first) {
    Tensor part = Tensor::empty({t.dim(0), kHalf}, DType::kF32);
    for (int64_t i = 0; i < t.dim(0); ++i)
      std::copy_n(t.data<float>() + i * kK + first, kHalf, part.mutable_data<float>() + i * kHalf);
    return part;
  };
  Context context(options(2));
  Tensor first_sum;
  for (const int64_t first : {int64_t{0}, kHalf}) {
    context.set_all_reduce([&](Context& c, const Tensor& sum) {
      if (first_sum.defined()) {
        const Tensor both = ops::add(c, first_sum, sum);
        std::copy_n(both.data<float>(), both.numel(), sum.mutable_data<float>());
      } else {
        first_sum = sum.clone();
      }
    });
    const ops::LowRank low{half(a, first), b, 0.5f, 0, nullptr};
    const Tensor w_part = half(w, first);
    const Tensor y =
        ops::row_parallel_linear(context, half(x, first), ops::LinearOperand{w_part, bias, &low}, residual);
    if (first == 0) continue;
    Context whole(options(2));
    const ops::LowRank all{a, b, 0.5f, 0, nullptr};
    const Tensor wanted = ops::row_parallel_linear(whole, x, ops::LinearOperand{w, bias, &all}, residual);
    // Sums of some hundred products of numbers in ±1, added in another order.
    EXPECT_LE(largest_error(y, values(wanted)), 2e-5);
  }
}

TEST_P(BiasResidual, GradientsGoToAllThree) {
  Context context(options());
  Random random(5);
  const Tensor x = random.tensor({6, 5}), bias = random.tensor({5}), residual = random.tensor({6, 5}),
               c = random.tensor({1, 30});
  Tape tape;
  for (const Tensor* t : {&x, &bias, &residual}) tape.watch(*t);
  set_tape(context, &tape);
  const Tensor y = ops::add_bias_residual(context, x, bias, residual);
  tape.backward(context, ops::linear(context, y.reshape({1, 30}), c).reshape({1}));
  set_tape(context, nullptr);
  EXPECT_TRUE(same_bits(tape.gradient(x).reshape({1, 30}), c));
  EXPECT_TRUE(same_bits(tape.gradient(residual).reshape({1, 30}), c));
  Values sums(5);
  for (size_t i = 0; i < 30; ++i) sums[i % 5] += values(c)[i];
  EXPECT_LE(largest_error(tape.gradient(bias), sums), 1e-6);
}

TEST(BiasResidualErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  const Tensor x = Tensor::zeros({2, 3}, DType::kF32), three = Tensor::zeros({3}, DType::kF32),
               two = Tensor::zeros({2}, DType::kF32);
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[add_bias_residual] x f32 [3]",
               [&] { ops::add_bias_residual(context, three, three, {}); });
  expect_error(code, "[add_bias_residual] bias [2] for x [2, 3]",
               [&] { ops::add_bias_residual(context, x, two, {}); });
  expect_error(code, "[add_bias_residual] residual f32 [1, 3] for x [2, 3]",
               [&] { ops::add_bias_residual(context, x, three, x.rows(0, 1)); });
  Tape tape;
  set_tape(context, &tape);
  context.set_all_reduce([](Context&, const Tensor&) {});
  const Tensor none;
  expect_error(ErrorCode::kUnsupported, "[row_parallel_linear] a tape", [&] {
    ops::row_parallel_linear(context, x, ops::LinearOperand{x, none}, {});
  });
}

}  // namespace
}  // namespace vl3
