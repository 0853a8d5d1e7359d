// What an adapter adds to a layer, against sums in double and their central differences.

#include "ops/low_rank.h"

#include "autograd/tape.h"
#include "ops/ops_support.h"
#include "runtime/context_parts.h"
#include "tensor/quantized.h"

namespace vl3 {
namespace {

using namespace test;

constexpr int64_t kRows = 5, kWidth = 21, kOut = 13, kRank = 3;

ops::LowRank some_layer(Random& random, int64_t n = kOut, int64_t k = kWidth) {
  return {random.tensor({kRank, k}), random.tensor({n, kRank}), 0.5f, 7, nullptr};
}

double largest_difference(const Tensor& a, const Tensor& b) { return largest_error(a, values(b)); }

class LowRank : public EveryPath {};

TEST_P(LowRank, GradientsEqualCentralDifferences) {
  Context context(options());
  Random random(5);
  for (const double rate : {0.0, 0.4}) {
    ops::LowRank layer = some_layer(random);
    if (rate > 0) layer.dropout = std::make_shared<ops::Dropout>(ops::Dropout{rate, 11, 2, 1});
    const Tensor x = random.tensor({kRows, kWidth}), weights = random.tensor({1, kRows * kOut});
    Tensor ones = Tensor::zeros({kRows, kWidth}, DType::kF32);
    for (float& one : ones.mutable_span<float>()) one = 1;
    const Values mask = values(rate > 0 ? ops::dropped(context, ones, *layer.dropout, layer.stream) : ones);
    Values inputs[] = {values(x), values(layer.a), values(layer.b)};
    const auto loss = [&] {
      Values kept = inputs[0];
      for (size_t i = 0; i < kept.size(); ++i) kept[i] *= mask[i];
      const Values y = ops::reference::low_rank(kept, kWidth, inputs[1], inputs[2], kRank, layer.scale),
                   c = values(weights);
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) sum += c[i] * y[i];
      return sum;
    };
    Tape tape;
    for (const Tensor& watched : {x, layer.a, layer.b}) tape.watch(watched);
    set_tape(context, &tape);
    const Tensor y = ops::low_rank(context, x, layer);
    tape.backward(context, ops::linear(context, y.reshape({1, -1}), weights).reshape({1}));
    set_tape(context, nullptr);
    const Tensor gradients[] = {tape.gradient(x), tape.gradient(layer.a), tape.gradient(layer.b)};
    for (size_t which = 0; which < 3; ++which) {
      Values expected(inputs[which].size());
      for (size_t i = 0; i < expected.size(); ++i) {
        constexpr double kStep = 1e-5;
        const double middle = inputs[which][i];
        inputs[which][i] = middle + kStep;
        const double above = loss();
        inputs[which][i] = middle - kStep;
        expected[i] = (above - loss()) / (2 * kStep);
        inputs[which][i] = middle;
      }
      Values scale = expected;
      for (double& s : scale) s = std::max(1.0, std::abs(s));
      EXPECT_LE(largest_error(gradients[which], expected, scale), documented("gradients"))
          << "input " << which << " dropout " << rate;
    }
  }
}

// Rows with adapters of their own are to the bit what they are where all rows have it, few rows or many, and
// rows without one what they are in a plain layer.
TEST_P(LowRank, RowsOfManyAdaptersEqualEachAlone) {
  Random random(8);
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kInt4}) {
      for (const int64_t rows : {int64_t{1}, int64_t{16}, int64_t{17}, int64_t{50}}) {
        Context context(options(2, compute));
        const int64_t width = 70, out = 45;
        const Tensor x = random.tensor({rows, width}), residual = random.tensor({rows, out});
        const auto weight = [&] {
          return dtype == DType::kInt4 ? quantized(context.threads(), random.tensor({out, width}), dtype)
                                       : random.tensor({out, width}, dtype);
        };
        const Tensor w = weight(), u = weight(), bias = random.tensor({out}), norm = random.tensor({width}),
                     none;
        const ops::LowRank adapters[] = {some_layer(random, out, width), some_layer(random, out, width),
                                         some_layer(random, out, width)};
        std::vector<int64_t> of_adapter[4];  // the last: none
        for (int64_t i = 0; i < rows; ++i) of_adapter[random.next() % 4].push_back(i);
        const std::vector<ops::LowRankRows> mixed = {
            {&adapters[0], of_adapter[0]}, {&adapters[1], of_adapter[1]}, {&adapters[2], of_adapter[2]}};
        const ops::Prologue rms = {ops::Prologue::Norm::kRmsNorm, &norm, nullptr, 1e-6f};
        for (const ops::Prologue& prologue : {ops::Prologue(), rms}) {
          // [linear, linears' two, gated_linear]
          const auto all = [&](const ops::LowRank* one, std::span<const ops::LowRankRows> some) {
            const ops::LinearOperand first{w, bias, one, some}, second{u, none, one, some}, third{w, none};
            const ops::Epilogue epilogue{ops::Activation::kGelu, &residual};
            std::vector<Tensor> y = {ops::linear(context, x, first, epilogue, prologue)};
            for (const Tensor& t : ops::linears(context, x, std::array{first, third, second}, prologue))
              y.push_back(t);
            const ops::LinearOperand gate{w, none, one, some};
            y.push_back(ops::gated_linear(context, x, gate, second, prologue));
            return y;
          };
          const std::vector<Tensor> together = all(nullptr, mixed);
          for (size_t a = 0; a < 4; ++a) {
            const std::vector<Tensor> alone = all(a < 3 ? &adapters[a] : nullptr, {});
            for (size_t i = 0; i < alone.size(); ++i) {
              for (const int64_t row : of_adapter[a]) {
                ASSERT_TRUE(same_bits(together[i].rows(row, row + 1), alone[i].rows(row, row + 1)))
                    << "result " << i << " row " << row << " of " << rows << " adapter " << a;
              }
            }
          }
        }
      }
    }
  }
}

TEST(LowRankRows, WhatDoesNotFitIsRefused) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(9);
  const Tensor x = random.tensor({4, kWidth}), w = random.tensor({kOut, kWidth}), none;
  const ops::LowRank layer = some_layer(random), other = some_layer(random, kOut, kWidth + 1);
  const std::vector<int64_t> two = {1, 2}, beyond = {4}, before = {-1};
  const auto refused = [&](const ops::LowRank* one, const std::vector<ops::LowRankRows>& some) {
    EXPECT_THROW(ops::linear(context, x, ops::LinearOperand{w, none, one, some}), Error);
    EXPECT_THROW(ops::linears(context, x, std::array{ops::LinearOperand{w, none, one, some}}), Error);
  };
  refused(&layer, {{&layer, two}});
  refused(nullptr, {{&layer, two}, {&layer, two}});
  refused(nullptr, {{&layer, beyond}});
  refused(nullptr, {{&layer, before}});
  refused(nullptr, {{&other, two}});
  Tape tape;
  tape.watch(x);
  set_tape(context, &tape);
  refused(nullptr, {{&layer, two}});
  refused(&layer, {{&layer, two}});
  set_tape(context, nullptr);
}

// Every kind of layer adds it before its activation, with a tape and without, over weights of every type.
TEST_P(LowRank, LayersAddIt) {
  Random random(6);
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kInt8}) {
    for (const int64_t rows : {int64_t{3}, int64_t{40}}) {
      Context context(options());
      const Tensor x = random.tensor({rows, kWidth}), residual = random.tensor({rows, kOut});
      const auto weight = [&] {
        const Tensor w = random.tensor({kOut, kWidth});
        return dtype == DType::kF32    ? w
               : dtype == DType::kBF16 ? random.tensor({kOut, kWidth}, DType::kBF16)
                                       : quantized(context.threads(), w, dtype);
      };
      const Tensor w = weight(), u = weight(), bias = random.tensor({kOut}), norm = random.tensor({kWidth}),
                   none;
      const ops::LowRank first = some_layer(random), second = some_layer(random);
      const ops::Prologue rms = {ops::Prologue::Norm::kRmsNorm, &norm, nullptr, 1e-6f};
      const Tensor input = ops::rms_norm(context, x, norm, 1e-6f);
      const auto sum = [&](const Tensor& matrix, const Tensor& b, const ops::LowRank& layer) {
        return ops::add(context, ops::linear(context, input, matrix, b),
                        ops::low_rank(context, input, layer));
      };
      const Tensor expected =
          ops::add(context, ops::activation(context, sum(w, bias, first), ops::Activation::kSilu), residual);
      const Tensor gated = ops::swiglu(context, sum(w, none, first), sum(u, none, second));
      for (const bool with_tape : {false, true}) {
        Tape tape;
        tape.watch(first.a);
        if (with_tape) set_tape(context, &tape);
        EXPECT_LE(largest_difference(ops::linear(context, x, ops::LinearOperand{w, bias, &first},
                                                 {ops::Activation::kSilu, &residual}, rms),
                                     expected),
                  2e-5);
        const ops::LinearOperand operands[] = {{w, bias, &first}, {u, none, nullptr}, {u, none, &second}};
        const auto several = ops::linears(context, x, operands, rms);
        set_tape(context, nullptr);
        EXPECT_LE(largest_difference(several[0], sum(w, bias, first)), 2e-5);
        EXPECT_LE(largest_difference(several[1], ops::linear(context, input, u)), 2e-5);
        EXPECT_LE(largest_difference(several[2], sum(u, none, second)), 2e-5);
        if (with_tape) set_tape(context, &tape);
        EXPECT_LE(largest_difference(
                      ops::gated_linear(context, x, {w, none, &first}, {u, none, &second}, rms), gated),
                  1e-4);
        set_tape(context, nullptr);
      }
    }
  }
}

TEST_P(LowRank, DropoutIsAFunctionOfSeedStepPassAndStream) {
  Context context(options());
  Tensor ones = Tensor::zeros({301, 333}, DType::kF32);
  for (float& one : ones.mutable_span<float>()) one = 1;
  const ops::Dropout base{0.05, 3, 4, 0};
  const Tensor kept = ops::dropped(context, ones, base, 9);
  int64_t zeros = 0;
  double sum = 0;
  for (const float value : kept.span<float>()) {
    zeros += value == 0 ? 1 : 0;
    sum += value;
  }
  const double n = static_cast<double>(ones.numel());
  EXPECT_NEAR(static_cast<double>(zeros) / n, 0.05, 4 * std::sqrt(0.05 * 0.95 / n));
  EXPECT_NEAR(sum / n, 1, 0.005);
  Context alone(options(1));
  EXPECT_TRUE(same_bits(kept, ops::dropped(alone, ones, base, 9)));
  for (const ops::Dropout& other :
       {ops::Dropout{0.05, 4, 4, 0}, ops::Dropout{0.05, 3, 5, 0}, ops::Dropout{0.05, 3, 4, 1}}) {
    EXPECT_FALSE(same_bits(kept, ops::dropped(context, ones, other, 9)));
  }
  EXPECT_FALSE(same_bits(kept, ops::dropped(context, ones, base, 10)));
}

TEST_P(LowRank, DropoutMatchesTheOracle) {
  Context context(options(3));
  for (const int64_t n : {1, 7, 8, 9, 70001}) {
    const Tensor x = Random(9).tensor({n});
    for (const double rate : {0.0, 0.3, 0.9}) {
      const ops::Dropout dropout{rate, 1234567890123, 3, 2};
      // One rounding of the factor and one of the product.
      EXPECT_LE(largest_error(ops::dropped(context, x, dropout, 17),
                              ops::reference::dropped(values(x), dropout, 17)),
                2e-6);
    }
  }
}

TEST_P(LowRank, DropsNothingWithoutATape) {
  Context context(options());
  Random random(8);
  ops::LowRank layer = some_layer(random);
  const Tensor x = random.tensor({kRows, kWidth});
  const Tensor expected = ops::low_rank(context, x, layer);
  layer.dropout = std::make_shared<ops::Dropout>(ops::Dropout{0.5, 1, 1, 0});
  EXPECT_TRUE(same_bits(ops::low_rank(context, x, layer), expected));
}

TEST_P(LowRank, RefusesOtherShapes) {
  Context context(options());
  Random random(9);
  const Tensor x = random.tensor({2, kWidth}), w = random.tensor({kOut, kWidth}), none;
  const ops::LowRank narrow = some_layer(random, kOut, kWidth - 1), low = some_layer(random, kOut - 1);
  ops::LowRank half = some_layer(random);
  half.a = random.tensor({kRank, kWidth}, DType::kBF16);
  for (const ops::LowRank* layer : std::initializer_list<const ops::LowRank*>{&narrow, &low, &half}) {
    expect_error(ErrorCode::kInvalidArgument, "[low_rank] A", [&] {
      ops::linear(context, x, ops::LinearOperand{w, none, layer});
    });
  }
}

VL3_EVERY_PATH(LowRank);

}  // namespace
}  // namespace vl3
