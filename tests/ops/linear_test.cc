// Linear layers and what is elementwise, on every path, against the oracle.

#include <fmt/format.h>

#include "ops/cpu/matmul.h"
#include "ops/linear_backward.h"
#include "ops/model_shapes.h"
#include "ops/ops_support.h"
#include "runtime/context_parts.h"
#include "tensor/quantized.h"

namespace vl3 {
namespace {

using ops::Activation;
using ops::Epilogue;
namespace reference = ops::reference;
using namespace test;

struct Case {
  int64_t m, n, k;
};

// Rows around the border at 16 between streaming and packing, and around the tiles of 6 and 14; columns and
// depths that fill no vector; depths around the 768 words of a block.
std::vector<Case> cases() {
  std::vector<Case> result = {{0, 5, 3}, {3, 0, 4}, {40, 0, 4}, {0, 0, 0}, {9, 3, 0}, {2, 3, 0}};
  for (int64_t m = 1; m <= 40; ++m) result.push_back({m, 37, 23});
  for (const int64_t m : {1, 4, 8, 16, 17, 29}) {
    for (const int64_t n : {1, 2, 3, 7, 16, 31, 32, 33, 65, 131, 260}) {
      for (const int64_t k : {1, 2, 7, 16, 17, 33}) result.push_back({m, n, k});
    }
  }
  for (const int64_t k : {383, 385, 767, 768, 769, 1535, 1537, 4303, 4304}) {
    for (const int64_t m : {1, 8, 16, 20}) result.push_back({m, 19, k});
  }
  return result;
}

class Linear : public EveryPath {};
VL3_EVERY_PATH(Linear);

// A few of the columns, since the oracle takes its time.
TEST_P(Linear, TheModelsShapes) {
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    ContextOptions asked = options(2);
    asked.compute = compute;
    Context context(asked);
    for (const LinearShape& shape : kLinearShapes) {
      Random random(static_cast<uint64_t>(shape.n + shape.k));
      const Tensor w = random.tensor({shape.n, shape.k}, DType::kBF16);
      for (const int64_t m : {1, 4, 16, 33}) {
        const Tensor x = random.tensor({m, shape.k});
        const Tensor y = ops::linear(context, x, w);
        Values rounded = values(x);
        if (compute == Compute::kAuto && kernels_of(context).tile_pairs != nullptr) {
          for (double& v : rounded) v = from_bf16(to_bf16(static_cast<float>(v)));
        }
        for (const int64_t n : {int64_t{0}, int64_t{31}, shape.n / 2, shape.n - 1}) {
          const Values row = values(w.rows(n, n + 1)),
                       expected = reference::linear(rounded, shape.k, row, {}),
                       scale = reference::linear(absolute(rounded), shape.k, absolute(row), {});
          for (int64_t i = 0; i < m; ++i) {
            const auto at = static_cast<size_t>(i);
            ASSERT_NEAR(y.data<float>()[i * shape.n + n], expected[at], 1e-6 * scale[at])
                << shape.where << ", " << m << " rows, column " << n;
          }
        }
      }
    }
  }
}

TEST_P(Linear, MatchesTheOracleAndStaysInItsBuffer) {
  Context context(options());
  double largest = 0;
  int64_t count = 0;
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const Case& c : cases()) {
      Random random(static_cast<uint64_t>(c.m * 1000003 + c.n * 1009 + c.k));
      const Tensor x = random.tensor({c.m, c.k}), w = random.tensor({c.n, c.k}, dtype),
                   bias = count % 2 == 0 ? random.tensor({c.n}, dtype) : Tensor();
      const Tensor y = ops::linear(context, x, w, bias);
      ASSERT_EQ(y.shape(), (Shape{c.m, c.n}));
      ASSERT_TRUE(slack_untouched(y)) << c.m << ' ' << c.n << ' ' << c.k;
      const Values b = bias.defined() ? values(bias) : Values();
      ++count;
      if (c.k == 0) {
        for (int64_t i = 0; i < y.numel(); ++i)
          ASSERT_EQ(y.data<float>()[i], b.empty() ? 0 : static_cast<float>(b[static_cast<size_t>(i % c.n)]));
        continue;
      }
      const Values scale = reference::linear(absolute(values(x)), c.k, absolute(values(w)), absolute(b));
      const double error = largest_error(y, reference::linear(values(x), c.k, values(w), b), scale);
      ASSERT_LE(error, documented("linear, f32")) << c.m << " x " << c.n << " x " << c.k;
      largest = std::max(largest, error);
    }
  }
  printf("%lld products equal, largest error %.3g\n", static_cast<long long>(count), largest);
}

// sum [N, K] += dyᵀ x: N around the tiles, the vectors that rows are copied in and a task's block, T around
// the chains of sums.
TEST_P(Linear, WeightGradientsOfEverySizeMatchTheOracle) {
  Context exact(options()), rounding(options(2, Compute::kAuto));
  for (const int64_t n : {1, 5, 14, 15, 31, 32, 33, 47, 70, 230}) {
    for (const int64_t k : {4, 33, 130}) {
      for (const int64_t t : {1, 2, 7, 300, 769, 1537}) {
        Random random(static_cast<uint64_t>(n * 1000003 + k * 1009 + t));
        const Tensor dy = random.tensor({t, n}), x = random.tensor({t, k}), before = random.tensor({n, k});
        const std::string what = fmt::format("{} x {} x {}", n, k, t);
        const auto check = [&](const Tensor& sum, const Values& d, const Values& in) {
          Values expected = values(before), scale = absolute(values(before));
          for (int64_t s = 0; s < t; ++s) {
            for (int64_t i = 0; i < n * k; ++i) {
              const double product =
                  d[static_cast<size_t>(s * n + i / k)] * in[static_cast<size_t>(s * k + i % k)];
              expected[static_cast<size_t>(i)] += product;
              scale[static_cast<size_t>(i)] += std::abs(product);
            }
          }
          EXPECT_LE(largest_error(sum, expected, scale), documented("linear, f32")) << what;
        };
        const Tensor sum = before.clone();
        ops::add_weight_gradient(exact, dy, x, Tensor::zeros({n, k}, DType::kF32), sum);
        check(sum, values(dy), values(x));

        if (kernels_of(rounding).tile_pairs == nullptr) continue;
        const auto as_bf16 = [](const Tensor& f32) {
          Tensor result = Tensor::empty(f32.shape(), DType::kBF16);
          for (int64_t i = 0; i < f32.numel(); ++i)
            result.mutable_data<bf16>()[i].bits = to_bf16(f32.data<float>()[i]);
          return result;
        };
        const Tensor weight = Tensor::zeros({n, k}, DType::kBF16), rounded = as_bf16(x);
        const Tensor of_f32 = before.clone(), of_bf16 = before.clone();
        ops::add_weight_gradient(rounding, dy, x, weight, of_f32);
        ops::add_weight_gradient(rounding, dy, rounded, weight, of_bf16);
        EXPECT_TRUE(same_bits(of_f32, of_bf16)) << what;
      }
    }
  }
}

TEST_P(Linear, EpiloguesInAnyCombination) {
  Context context(options(3));
  int count = 0;
  for (const Activation kind :
       {Activation::kNone, Activation::kGeluTanh, Activation::kGelu, Activation::kSilu}) {
    for (const auto& [m, k] :
         {std::pair<int64_t, int64_t>{1, 29}, {8, 29}, {9, 29}, {33, 29}, {8, 800}, {20, 800}}) {
      for (const int combination : {0, 1, 2, 3}) {
        const int64_t n = 45;
        Random random(static_cast<uint64_t>(m));
        const Tensor x = random.tensor({m, k}), w = random.tensor({n, k}, DType::kBF16),
                     bias = combination % 2 != 0 ? random.tensor({n}, DType::kF16, 3) : Tensor(),
                     residual = random.tensor({m, n});
        const Tensor y = ops::linear(context, x, w, bias, {kind, combination >= 2 ? &residual : nullptr});
        const Values b = bias.defined() ? values(bias) : Values();
        Values expected = reference::activation(reference::linear(values(x), k, values(w), b), kind);
        if (combination >= 2) expected = reference::add(expected, values(residual));
        // The product's error through a slope of at most 1.13, then the activation's own and that of adding.
        Values scale = reference::linear(absolute(values(x)), k, absolute(values(w)), absolute(b));
        for (double& v : scale) v += 1;
        ASSERT_LE(largest_error(y, expected, scale), 3 * documented("linear, f32")) << m << ' ' << k;
        ++count;
      }
    }
  }
  printf("%d epilogues equal\n", count);
}

// Several products of the same rows, and a gated pair, are what single ones give.
TEST_P(Linear, TogetherIsAsOneByOne) {
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    for (const DType type : {DType::kF32, DType::kBF16}) {
      for (const int64_t rows : {0, 1, 16, 37}) {
        Context context(options(2, compute));
        Random random(static_cast<uint64_t>(rows + 1));
        const Tensor x = random.tensor({rows, 50}), norm = random.tensor({50}),
                     bias = random.tensor({33}, type), a = random.tensor({33, 50}, type),
                     b = random.tensor({17, 50}, type), up = random.tensor({33, 50}, type), none;
        const ops::Prologue rms = {ops::Prologue::Norm::kRmsNorm, &norm, nullptr, 1e-6f};
        const ops::LinearOperand operands[] = {{a, bias}, {b, none}};
        const std::vector<Tensor> both = ops::linears(context, x, operands, rms);
        EXPECT_TRUE(same_bits(both[0], ops::linear(context, x, a, bias, {}, rms)));
        EXPECT_TRUE(same_bits(both[1], ops::linear(context, x, b, {}, {}, rms)));
        const Tensor gated = ops::gated_linear(context, x, a, up, rms);
        EXPECT_TRUE(same_bits(gated, ops::swiglu(context, ops::linear(context, x, a, {}, {}, rms),
                                                 ops::linear(context, x, up, {}, {}, rms))));
      }
    }
  }
}

// Up to kFewRows rows and beyond them the order of sums differs; within either, products are batch-invariant.
TEST_P(Linear, ARowDoesNotDependOnTheOtherRowsNorOnThreads) {
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    Context context(options(1, compute));
    Random random(5);
    const int64_t k = 801, n = 75;
    const Tensor x = random.tensor({40, k}), w = random.tensor({n, k}, DType::kBF16);
    const Tensor one = ops::linear(context, x.rows(0, 1), w), all = ops::linear(context, x, w);
    for (int64_t m = 1; m <= 40; ++m) {
      for (const int64_t first : {int64_t{0}, 40 - m}) {
        const Tensor part = ops::linear(context, x.rows(first, first + m), w);
        if (m > ops::kFewRows) {
          ASSERT_TRUE(same_bits(part, all.rows(first, first + m).clone())) << m;
        } else if (first == 0) {
          ASSERT_TRUE(same_bits(part.rows(0, 1), one)) << m;
        }
      }
    }
    for (const int threads : {2, 3}) {
      Context other(options(threads, compute));
      EXPECT_TRUE(same_bits(ops::linear(other, x, w), all)) << threads;
      EXPECT_TRUE(same_bits(ops::linear(other, x.rows(0, 1), w), one)) << threads;
    }
  }
}

// A step of feeds: each has the bits that it has alone, of every type of weights.
TEST_P(Linear, RowsOfAFeedAreWhatTheyAreAlone) {
  std::vector<int64_t> borders = {0, 1, 2, 18, 58, 59, 60, 62, 95};
  for (int i = 0; i < 45; ++i) borders.push_back(borders.back() + 1);  // more than one task's rows
  const std::vector<ops::RowRun> runs = ops::runs_of_feeds(borders);
  EXPECT_EQ(runs.size(), 5u);
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    Context context(options(2, compute));
    Random random(6);
    const int64_t k = 512, n = 96;
    const Tensor x = random.tensor({borders.back(), k}), residual = random.tensor({borders.back(), n}),
                 bias = random.tensor({n}), norm = random.tensor({k}), dense = random.tensor({n, k});
    const ops::Prologue rms{ops::Prologue::Norm::kRmsNorm, &norm, nullptr, 1e-6f};
    for (const DType type : {DType::kF32, DType::kBF16, DType::kF16, DType::kInt8, DType::kInt4}) {
      const Tensor w =
          is_quantized(type) ? quantized(context.threads(), dense, type) : random.tensor({n, k}, type);
      const Tensor none;
      ops::LinearOperand layer{w, bias}, gate{w, none};
      layer.runs = gate.runs = runs;
      const Tensor all = ops::linear(context, x, layer, {ops::Activation::kNone, &residual}, rms);
      const Tensor gated = ops::gated_linear(context, x, gate, gate, rms);
      for (size_t i = 1; i < borders.size(); ++i) {
        const int64_t from = borders[i - 1], to = borders[i];
        const Tensor rows = x.rows(from, to), added = residual.rows(from, to);
        const Tensor alone = ops::linear(context, rows, w, bias, {ops::Activation::kNone, &added}, rms);
        ASSERT_TRUE(same_bits(all.rows(from, to).clone(), alone)) << to_string(type) << ", feed " << i;
        ASSERT_TRUE(same_bits(gated.rows(from, to).clone(), ops::gated_linear(context, rows, w, w, rms)))
            << to_string(type) << ", feed " << i;
      }
    }
  }
}

TEST_P(Linear, AutoIsNoWorseThanAPlainBf16Run) {
  Context context(options(2, Compute::kAuto));
  double sum_ours = 0, sum_plain = 0;
  for (const Case& c : {Case{9, 33, 1}, Case{14, 64, 7}, Case{40, 50, 384}, Case{23, 31, 769},
                        Case{64, 37, 4303}, Case{33, 96, 4304}}) {
    Random random(static_cast<uint64_t>(c.k));
    const Tensor x = random.tensor({c.m, c.k}), w = random.tensor({c.n, c.k}, DType::kBF16);
    Values rounded = values(x);
    for (double& v : rounded) v = from_bf16(to_bf16(static_cast<float>(v)));
    const Values exact = reference::linear(values(x), c.k, values(w), {});
    const Values of_rounded = reference::linear(rounded, c.k, values(w), {});
    const Values ours = values(ops::linear(context, x, w));
    double mean_ours = 0, mean_plain = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      const double plain = from_bf16(to_bf16(static_cast<float>(of_rounded[i])));
      mean_ours += (ours[i] - exact[i]) * (ours[i] - exact[i]);
      mean_plain += (plain - exact[i]) * (plain - exact[i]);
    }
    EXPECT_LE(mean_ours, mean_plain) << c.k;
    sum_ours += mean_ours, sum_plain += mean_plain;
  }
  printf("squared error %.3g of that of a plain bf16 run\n", sum_ours / sum_plain);
}

TEST(LinearErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(1);
  const Tensor x = random.tensor({2, 3}), w = random.tensor({4, 3});
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[linear] x [2, 3] and weight [4, 2]", [&] {
    ops::linear(context, x, random.tensor({4, 2}));
  });
  expect_error(code, "[linear]", [&] { ops::linear(context, random.tensor({3}), w); });
  expect_error(code, "[linear] bias [3] for weight [4, 3]",
               [&] { ops::linear(context, x, w, random.tensor({3})); });
  const Tensor residual = random.tensor({2, 3}), half = random.tensor({2, 4}, DType::kBF16);
  expect_error(code, "[linear] residual [2, 3] for a result [2, 4]", [&] {
    ops::linear(context, x, w, {}, {Activation::kNone, &residual});
  });
  expect_error(code, "residual", [&] { ops::linear(context, x, w, {}, {Activation::kNone, &half}); });
  expect_error(code, "i64", [&] { ops::linear(context, x, Tensor::zeros({4, 3}, DType::kI64)); });
  expect_error(code, "bf16", [&] { ops::linear(context, random.tensor({2, 3}, DType::kBF16), w); });
}

}  // namespace
}  // namespace vl3
