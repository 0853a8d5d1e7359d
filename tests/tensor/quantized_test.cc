#include "tensor/quantized.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/thread_pool.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

struct Matrix {
  int64_t rows, k;
};

class Quantized : public testing::TestWithParam<Matrix> {
 protected:
  Tensor random() const {
    const auto [rows, k] = GetParam();
    std::mt19937 engine(7);
    std::normal_distribution<float> normal(0.01f, 0.02f);
    Tensor w = Tensor::empty({rows, k}, DType::kF32);
    for (float& x : w.span<float>()) x = normal(engine);
    return w;
  }
  // √(Σ (w - w')² / Σ w²)
  static double error(const Tensor& w, const Tensor& q) {
    std::vector<float> row(static_cast<size_t>(w.dim(1)));
    double difference = 0, total = 0;
    for (int64_t n = 0; n < w.dim(0); ++n) {
      dequantize_row(q, n, row.data());
      for (int64_t i = 0; i < w.dim(1); ++i) {
        const double v = w.data<float>()[n * w.dim(1) + i], d = v - row[static_cast<size_t>(i)];
        difference += d * d;
        total += v * v;
      }
    }
    return std::sqrt(difference / total);
  }
};

// Rounding to steps of 1/127 of a row's largest, 3 to 4 deviations: an error of step / √12.
TEST_P(Quantized, Int8IsWithinItsStep) {
  const Tensor w = random();
  ThreadPool threads(2);
  const Tensor q = quantized(threads, w, DType::kInt8);
  EXPECT_EQ(q.shape(), w.shape());
  EXPECT_LT(error(w, q), 0.012);
  std::vector<float> row(static_cast<size_t>(w.dim(1)));
  for (int64_t n = 0; n < w.dim(0); ++n) {
    dequantize_row(q, n, row.data());
    float largest = 0;
    for (int64_t i = 0; i < w.dim(1); ++i)
      largest = std::max(largest, std::abs(w.data<float>()[n * w.dim(1) + i]));
    for (int64_t i = 0; i < w.dim(1); ++i) {
      EXPECT_LE(std::abs(w.data<float>()[n * w.dim(1) + i] - row[static_cast<size_t>(i)]),
                largest / 127 * 0.501f);
    }
  }
}

TEST_P(Quantized, Int4IsWithinItsStep) {
  const Tensor w = random();
  ThreadPool threads(2);
  const Tensor q = quantized(threads, w, DType::kInt4);
  EXPECT_LT(error(w, q), 0.1);
  EXPECT_EQ(static_cast<int64_t>(q.bytes()), (w.dim(0) + 15) / 16 * (128 + (w.dim(1) + 31) / 32 * 288));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Quantized,
                         testing::Values(Matrix{16, 32}, Matrix{1, 1}, Matrix{17, 33}, Matrix{40, 4304 / 8},
                                         Matrix{31, 588}));

TEST(QuantizedTensor, ZeroRowsStayZero) {
  ThreadPool threads(1);
  const Tensor w = Tensor::zeros({3, 40}, DType::kBF16);
  std::vector<float> row(40, 1.0f);
  for (const DType dtype : {DType::kInt8, DType::kInt4}) {
    dequantize_row(quantized(threads, w, dtype), 2, row.data());
    for (const float x : row) EXPECT_EQ(x, 0.0f);
  }
}

TEST(QuantizedTensor, ViewsKeepBlocks) {
  ThreadPool threads(1);
  Tensor w = Tensor::zeros({48, 2, 20}, DType::kF32);
  for (int64_t i = 0; i < w.numel(); ++i) w.data<float>()[i] = static_cast<float>(i % 127);
  const Tensor q = quantized(threads, w, DType::kInt8);
  std::vector<float> whole(40), part(40);
  dequantize_row(q, 35, whole.data());
  dequantize_row(q.reshape({48, 40}).rows(32, 48), 3, part.data());
  EXPECT_EQ(whole, part);
  EXPECT_THROW(q.rows(8, 16), Error);
  EXPECT_THROW(q.reshape({24, 80}), Error);
  EXPECT_THROW(q.data<float>(), Error);
}

TEST(QuantizedTensor, RefusesWhatIsNotFinite) {
  ThreadPool threads(2);
  Tensor w = Tensor::zeros({20, 8}, DType::kF32);
  w.data<float>()[150] = NAN;
  EXPECT_THROW(quantized(threads, w, DType::kInt4), Error);
  EXPECT_THROW(quantized(threads, Tensor::zeros({4, 4}, DType::kI32), DType::kInt8), Error);
}

}  // namespace
}  // namespace vl3
