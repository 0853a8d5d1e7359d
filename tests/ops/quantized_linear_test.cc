// Products with int8 and int4 weights, on every path: what rounding the activations may change and no more.

#include "ops/cpu/matmul.h"
#include "ops/ops_support.h"
#include "tensor/quantized.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

struct Case {
  int64_t m, n, k;
};

std::vector<Case> cases() {
  std::vector<Case> result = {{0, 5, 3}, {2, 3, 0}, {3, 1, 1}};
  for (int64_t m = 1; m <= 31; ++m) result.push_back({m, 37, 70});
  for (const int64_t n : {1, 15, 16, 17, 31, 32, 33, 64, 65, 200}) {
    for (const int64_t k : {1, 3, 4, 31, 32, 33, 68}) result.push_back({5, n, k});
  }
  for (const int64_t k : {588, 1152, 4303, 4304, 8960}) {
    for (const int64_t m : {1, 20}) result.push_back({m, 19, k});
  }
  return result;
}

// [n][k] of what the weights stand for.
Values dequantized(const Tensor& w) {
  std::vector<float> row(static_cast<size_t>(w.dim(1)));
  Values result;
  for (int64_t n = 0; n < w.dim(0); ++n) {
    dequantize_row(w, n, row.data());
    result.insert(result.end(), row.begin(), row.end());
  }
  return result;
}

// Activations as the kernels see them: groups rotated, rounded to 127 steps of their largest, rotated back.
struct Rounded {
  Values values;
  std::vector<double>
      ties;  // of each row: the steps of those that lie so near a tie that either way is right
};

Rounded rounded(const Tensor& x) {
  constexpr double kNear = 5e-4;
  const int64_t k = x.dim(1);
  Rounded result;
  for (int64_t n = 0; n < x.dim(0); ++n) {
    std::vector<float> row(x.data<float>() + n * k, x.data<float>() + (n + 1) * k);
    rotate_groups(row);
    double ties = 0;
    for (size_t first = 0; first < row.size(); first += kQuantGroup) {
      const auto group = std::span(row).subspan(first, std::min<size_t>(kQuantGroup, row.size() - first));
      double largest = 0;
      for (const float v : group) largest = std::max<double>(largest, std::abs(v));
      for (float& v : group) {
        if (largest == 0) continue;
        const double q = v / (largest / 127);
        if (std::abs(q - std::floor(q) - 0.5) < kNear) ties += largest / 127;
        v = static_cast<float>(std::nearbyint(q) * (largest / 127));
      }
    }
    rotate_groups_back(row);
    result.values.insert(result.values.end(), row.begin(), row.end());
    result.ties.push_back(ties);
  }
  return result;
}

// Of a rotated row, the largest.
std::vector<double> largest_rotated(const Values& weights, int64_t k) {
  std::vector<double> result;
  for (size_t first = 0; first < weights.size(); first += static_cast<size_t>(k)) {
    std::vector<float> row(weights.begin() + static_cast<int64_t>(first),
                           weights.begin() + static_cast<int64_t>(first) + k);
    rotate_groups(row);
    double largest = 0;
    for (const float v : row) largest = std::max<double>(largest, std::abs(v));
    result.push_back(largest);
  }
  return result;
}

class QuantizedLinear : public EveryPath {};
VL3_EVERY_PATH(QuantizedLinear);

// With Compute::kF32 only the weights are rounded; with kAuto the activations too.
TEST_P(QuantizedLinear, MatchesTheOracle) {
  int64_t count = 0;
  const double documented_error = documented("linear, f32");
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    Context context(options(2, compute));
    for (const DType dtype : {DType::kInt8, DType::kInt4}) {
      for (const Case& c : cases()) {
        Random random(static_cast<uint64_t>(c.m * 1000003 + c.n * 1009 + c.k));
        const Tensor x = random.tensor({c.m, c.k}), bias = random.tensor({c.n});
        const Tensor w = quantized(context.threads(), random.tensor({c.n, c.k}), dtype);
        const Tensor y = ops::linear(context, x, w, bias);
        ASSERT_EQ(y.shape(), (Shape{c.m, c.n}));
        if (c.k == 0) continue;
        const Values weights = dequantized(w);
        const Rounded inputs = compute == Compute::kF32
                                   ? Rounded{values(x), std::vector<double>(static_cast<size_t>(c.m))}
                                   : rounded(x);
        const Values scale =
            reference::linear(absolute(values(x)), c.k, absolute(weights), absolute(values(bias)));
        const Values wanted = reference::linear(inputs.values, c.k, weights, values(bias));
        const std::vector<double> largest = largest_rotated(weights, c.k);
        for (int64_t i = 0; i < c.m * c.n; ++i) {
          const auto at = static_cast<size_t>(i), row = static_cast<size_t>(i / c.n),
                     column = static_cast<size_t>(i % c.n);
          ASSERT_NEAR(y.data<float>()[i], wanted[at],
                      documented_error * scale[at] + inputs.ties[row] * largest[column])
              << c.m << " x " << c.n << " x " << c.k << ' ' << to_string(dtype);
        }
        ++count;
      }
    }
  }
  std::printf("%lld products compared\n", static_cast<long long>(count));
}

// Columns that are large where activations are small: exponents make both sides alike, and cancel out.
TEST_P(QuantizedLinear, ExponentsOfColumnsCancelOut) {
  Context context(options(2, Compute::kAuto));
  Random random(4);
  Tensor x = random.tensor({20, 200}), w = random.tensor({40, 200});
  std::vector<int8_t> exponents(200);
  for (int64_t i = 0; i < 200; i += 20) {
    exponents[static_cast<size_t>(i)] = 6;
    for (int64_t n = 0; n < 40; ++n) w.mutable_data<float>()[n * 200 + i] /= 64;
    for (int64_t n = 0; n < 20; ++n) x.mutable_data<float>()[n * 200 + i] *= 64;
  }
  const Values wanted = reference::linear(values(x), 200, values(w), {});
  const Values scale = reference::linear(absolute(values(x)), 200, absolute(values(w)), {});
  for (const DType dtype : {DType::kInt8, DType::kInt4}) {
    const Tensor plain = quantized(context.threads(), w, dtype);
    const Tensor scaled = quantized(context.threads(), w, dtype, {exponents, {}});
    const auto error = [&](const Tensor& weight) {
      return largest_error(ops::linear(context, x, weight), wanted, scale);
    };
    EXPECT_LT(error(scaled), dtype == DType::kInt8 ? 0.01 : 0.1);
    EXPECT_LT(4 * error(scaled), error(plain) + (dtype == DType::kInt8 ? 0 : 1));
    // Weights of both kinds in one call.
    const ops::LinearOperand both[] = {{plain, {}}, {scaled, {}}};
    const auto together = ops::linears(context, x, both);
    EXPECT_TRUE(same_bits(together[0], ops::linear(context, x, plain)));
    EXPECT_TRUE(same_bits(together[1], ops::linear(context, x, scaled)));
  }
}

TEST_P(QuantizedLinear, ARowDoesNotDependOnTheOtherRowsNorOnThreads) {
  Random random(5);
  const Tensor x = random.tensor({40, 801}), dense = random.tensor({75, 801});
  for (const DType dtype : {DType::kInt8, DType::kInt4}) {
    Context context(options(1, Compute::kAuto)), other(options(3, Compute::kAuto));
    const Tensor w = quantized(context.threads(), dense, dtype), all = ops::linear(context, x, w);
    EXPECT_TRUE(same_bits(ops::linear(other, x, w), all));
    for (int64_t m = 1; m <= 40; ++m) {
      ASSERT_TRUE(same_bits(ops::linear(context, x.rows(40 - m, 40), w), all.rows(40 - m, 40).clone())) << m;
    }
  }
}

TEST_P(QuantizedLinear, NumbersThatAreNotFiniteComeOut) {
  Context context(options(1, Compute::kAuto));
  Random random(6);
  const Tensor dense = random.tensor({20, 50});
  for (const DType dtype : {DType::kInt8, DType::kInt4}) {
    const Tensor w = quantized(context.threads(), dense, dtype);
    for (const float bad : {NAN, INFINITY}) {
      for (const int64_t place : {0, 49}) {
        Tensor x = random.tensor({3, 50});
        x.mutable_data<float>()[50 + place] = bad;
        const Tensor y = ops::linear(context, x, w);
        for (int64_t n = 0; n < 20; ++n) {
          EXPECT_TRUE(std::isfinite(y.data<float>()[n]));
          EXPECT_FALSE(std::isfinite(y.data<float>()[20 + n]));
        }
      }
    }
  }
}

TEST_P(QuantizedLinear, HugeTinyAndZeroRows) {
  Context context(options(1, Compute::kAuto));
  Random random(8);
  const Tensor w = quantized(context.threads(), random.tensor({16, 64}), DType::kInt8);
  for (const float factor : {0.0f, 1e-44f, 1e-30f, 1e30f}) {
    Tensor x = random.tensor({1, 64});
    for (float& v : x.mutable_span<float>()) v *= factor;
    const Tensor y = ops::linear(context, x, w);
    for (const float v : y.span<float>()) EXPECT_LE(std::abs(v), 64 * factor);
  }
}

TEST_P(QuantizedLinear, EmbeddingReadsTheRow) {
  Context context(options(1, Compute::kAuto));
  Random random(9);
  for (const DType dtype : {DType::kInt8, DType::kInt4}) {
    const Tensor table = quantized(context.threads(), random.tensor({40, 36}), dtype);
    const std::vector<int64_t> ids = {39, 0, 17};
    const Tensor y = ops::embedding(context, table, ids);
    std::vector<float> row(36);
    for (size_t i = 0; i < ids.size(); ++i) {
      dequantize_row(table, ids[i], row.data());
      for (int64_t d = 0; d < 36; ++d)
        EXPECT_EQ(y.data<float>()[static_cast<int64_t>(i) * 36 + d], row[static_cast<size_t>(d)]);
    }
  }
}

// Norm and gate on the way must be what they are as operations of their own.
TEST_P(QuantizedLinear, FusedStepsEqualSingleOnes) {
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    Context context(options(2, compute));
    Random random(10);
    for (const int64_t m : {1, 7, 33}) {
      const Tensor x = random.tensor({m, 70}), norm = random.tensor({70}), shift = random.tensor({70}),
                   g = random.tensor({50, 70}), u = random.tensor({50, 70}), b = random.tensor({50});
      for (const DType dtype : {DType::kF32, DType::kBF16, DType::kInt8}) {
        const auto stored = [&](const Tensor& t) {
          if (dtype == DType::kInt8) return quantized(context.threads(), t, dtype);
          if (dtype == DType::kF32) return t;
          Tensor half = Tensor::empty(t.shape(), DType::kBF16);
          for (int64_t i = 0; i < t.numel(); ++i)
            half.mutable_data<bf16>()[i].bits = to_bf16(t.data<float>()[i]);
          return half;
        };
        const Tensor gate = stored(g), up = stored(u);
        const ops::Prologue rms{ops::Prologue::Norm::kRmsNorm, &norm, nullptr, 1e-6f};
        const ops::Prologue layer{ops::Prologue::Norm::kLayerNorm, &norm, &shift, 1e-6f};
        const Tensor n1 = ops::rms_norm(context, x, norm, 1e-6f),
                     n2 = ops::layer_norm(context, x, norm, shift, 1e-6f);
        EXPECT_TRUE(
            same_bits(ops::gated_linear(context, x, gate, up, rms),
                      ops::swiglu(context, ops::linear(context, n1, gate), ops::linear(context, n1, up))));
        const ops::LinearOperand operands[] = {{gate, b}, {up, {}}};
        const auto both = ops::linears(context, x, operands, layer);
        EXPECT_TRUE(same_bits(both[0], ops::linear(context, n2, gate, b)));
        EXPECT_TRUE(same_bits(both[1], ops::linear(context, n2, up)));
      }
    }
  }
}

}  // namespace
}  // namespace vl3
