#include "checkpoint/gptq.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "checkpoint/checkpoint_files.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

using test::expect_error;

constexpr int64_t kInputs = 400, kRows = 32;

class GptqRounding : public testing::TestWithParam<std::tuple<DType, int64_t>> {
 protected:
  GptqRounding() : k_(std::get<1>(GetParam())) {
    std::mt19937 engine(1);
    std::normal_distribution<float> normal;
    // Inputs that go together, as those of a real layer do: most of them lie in a few directions.
    std::vector<float> directions(static_cast<size_t>(12 * k_));
    for (float& x : directions) x = normal(engine);
    x_.resize(static_cast<size_t>(kInputs * k_));
    for (int64_t t = 0; t < kInputs; ++t) {
      for (int64_t d = 0; d < 12; ++d) {
        const float share = normal(engine);
        for (int64_t i = 0; i < k_; ++i) at(x_, t, i) += share * at(directions, d, i);
      }
      for (int64_t i = 0; i < k_; ++i) at(x_, t, i) += 0.3f * normal(engine);
    }
    w_ = Tensor::empty({kRows, k_}, DType::kF32);
    for (float& x : w_.mutable_span<float>()) x = normal(engine);
    const int64_t groups = quant_groups(k_);
    moments_ = {k_, kInputs, std::vector<float>(static_cast<size_t>(groups * kQuantGroup * kQuantGroup))};
    for (int64_t i = 0; i < k_; ++i) {
      for (int64_t j = i / kQuantGroup * kQuantGroup; j < std::min(k_, (i / kQuantGroup + 1) * kQuantGroup);
           ++j) {
        double sum = 0;
        for (int64_t t = 0; t < kInputs; ++t) sum += at(x_, t, i) * at(x_, t, j);
        moments_.products[static_cast<size_t>(i * kQuantGroup + j % kQuantGroup)] = static_cast<float>(sum);
      }
    }
  }
  float& at(std::vector<float>& matrix, int64_t row, int64_t column) const {
    return matrix[static_cast<size_t>(row * k_ + column)];
  }
  // Σ ((w - w') x)² over rows and inputs.
  double output_error(const Tensor& q) {
    std::vector<float> row(static_cast<size_t>(k_));
    double total = 0;
    for (int64_t n = 0; n < kRows; ++n) {
      dequantize_row(q, n, row.data());
      for (int64_t t = 0; t < kInputs; ++t) {
        double sum = 0;
        for (int64_t i = 0; i < k_; ++i)
          sum += (w_.data<float>()[n * k_ + i] - row[static_cast<size_t>(i)]) * at(x_, t, i);
        total += sum * sum;
      }
    }
    return total;
  }

  int64_t k_;
  std::vector<float> x_;
  Tensor w_;
  InputMoments moments_;
};

TEST_P(GptqRounding, ProductsChangeLessThanWithTheNearest) {
  const DType dtype = std::get<0>(GetParam());
  ThreadPool threads(2);
  std::vector<int8_t> exponents(static_cast<size_t>(k_));
  for (size_t i = 0; i < exponents.size(); i += 7) exponents[i] = static_cast<int8_t>(i % 3) - 1;
  for (const bool scaled : {false, true}) {
    const std::span<const int8_t> e = scaled ? std::span<const int8_t>(exponents) : std::span<const int8_t>();
    const Gptq gptq(threads, dtype, moments_, k_, e);
    const double nearest = output_error(quantized(threads, w_, dtype, {e, {}}));
    const double ours = output_error(quantized(threads, w_, dtype, {e, std::cref(gptq)}));
    EXPECT_LT(ours, 0.6 * nearest) << "scaled: " << scaled;
  }
}

TEST_P(GptqRounding, InputsThatNeverWereRoundToTheNearest) {
  const DType dtype = std::get<0>(GetParam());
  ThreadPool threads(1);
  std::fill(moments_.products.begin(), moments_.products.end(), 0.0f);
  const Gptq gptq(threads, dtype, moments_, k_, {});
  const Tensor ours = quantized(threads, w_, dtype, {{}, std::cref(gptq)}),
               nearest = quantized(threads, w_, dtype);
  EXPECT_EQ(std::memcmp(ours.raw(), nearest.raw(), nearest.bytes()), 0);
  expect_error([&] { Gptq(threads, dtype, moments_, k_ + 1, {}); }, ErrorCode::kInvalidArgument, {"width"});
}

INSTANTIATE_TEST_SUITE_P(Types, GptqRounding,
                         testing::Combine(testing::Values(DType::kInt8, DType::kInt4),
                                          testing::Values(64, 256, 344)));

}  // namespace
}  // namespace vl3
