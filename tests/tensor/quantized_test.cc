#include "tensor/quantized.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "support/support.h"
#include "vl3/error.h"
#include "vl3/thread_pool.h"

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
    for (float& x : w.mutable_span<float>()) x = normal(engine);
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

// Rounding to steps of 1/127 of a group's largest, up to 3 deviations: an error of step / √12. Rotated, no
// number is off by more than half a step.
TEST_P(Quantized, Int8IsWithinItsStep) {
  const Tensor w = random();
  ThreadPool threads(2);
  const Tensor q = quantized(threads, w, DType::kInt8);
  EXPECT_EQ(q.shape(), w.shape());
  EXPECT_LT(error(w, q), 0.009);
  const auto k = static_cast<size_t>(w.dim(1));
  for (int64_t n = 0; n < w.dim(0); ++n) {
    std::vector<float> before(w.data<float>() + n * w.dim(1), w.data<float>() + (n + 1) * w.dim(1)), after(k);
    dequantize_row(q, n, after.data());
    rotate_groups(before);
    rotate_groups(after);
    for (size_t first = 0; first < k; first += kQuantGroup) {
      const size_t end = std::min<size_t>(first + kQuantGroup, k);
      float largest = 0;
      for (size_t i = first; i < end; ++i) largest = std::max(largest, std::abs(before[i]));
      // The scale is a bf16: up to 1/128 longer.
      for (size_t i = first; i < end; ++i) EXPECT_LE(std::abs(before[i] - after[i]), largest / 127 * 0.506f);
    }
  }
}

TEST_P(Quantized, Int4IsWithinItsStep) {
  const Tensor w = random();
  ThreadPool threads(2);
  const Tensor q = quantized(threads, w, DType::kInt4);
  EXPECT_LT(error(w, q), 0.1);
  const auto lines = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
  const int64_t groups = (w.dim(1) + 255) / 256, parts = (w.dim(1) + 31) / 32;
  EXPECT_EQ(static_cast<int64_t>(q.bytes()),
            lines(w.dim(1)) + (w.dim(0) + 15) / 16 * (lines(32 * groups + 16 * parts) + 256 * parts));
}

// What all numbers of a group have in common is spread as well.
TEST(QuantizedTensor, AMeanIsSpread) {
  std::vector<float> row(256, 1.0f);
  rotate_groups(row);
  for (const float x : row) EXPECT_LE(std::abs(x), std::sqrt(2.0f) * 1.001f);
}

// One number far above the others costs those of its group little: rotated, all of them are alike.
TEST(QuantizedTensor, AnOutlierCostsItsNeighboursLittle) {
  ThreadPool threads(1);
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  Tensor w = Tensor::empty({16, 256}, DType::kF32);
  for (float& x : w.mutable_span<float>()) x = normal(engine);
  for (int64_t n = 0; n < 16; ++n) w.mutable_data<float>()[n * 256 + 17] = 60.0f;
  const Tensor q = quantized(threads, w, DType::kInt8);
  std::vector<float> row(256);
  double squares = 0;
  for (int64_t n = 0; n < 16; ++n) {
    dequantize_row(q, n, row.data());
    for (int64_t i = 0; i < 256; ++i) {
      const double d = i == 17 ? 0 : row[static_cast<size_t>(i)] - w.data<float>()[n * 256 + i];
      squares += d * d / (16 * 255);
    }
  }
  // The group's largest is about 60 / √256 + 2.9; without rotation a step would be 60 / 127.
  EXPECT_LT(std::sqrt(squares), (60 / std::sqrt(256.0) + 3.5) / 127 / std::sqrt(12.0) * 1.2);
}

TEST(QuantizedTensor, ARotationIsUndone) {
  std::mt19937 engine(4);
  std::normal_distribution<float> normal;
  for (const size_t k : {1u, 2u, 3u, 72u, 127u, 128u, 129u, 255u, 256u, 4304u}) {
    std::vector<float> row(k);
    for (float& x : row) x = normal(engine);
    std::vector<float> twice = row;
    rotate_groups(twice);
    double before = 0, after = 0;
    for (size_t i = 0; i < k; ++i) {
      before += row[i] * row[i];
      after += twice[i] * twice[i];
    }
    EXPECT_NEAR(after / before, 1, 1e-5);
    rotate_groups_back(twice);
    for (size_t i = 0; i < k; ++i) EXPECT_NEAR(twice[i], row[i], 1e-5f);
  }
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

TEST(QuantizedTensor, ViewsAreWhole) {
  ThreadPool threads(1);
  Tensor w = Tensor::zeros({48, 2, 20}, DType::kF32);
  for (int64_t i = 0; i < w.numel(); ++i) w.mutable_data<float>()[i] = static_cast<float>(i % 127);
  const Tensor q = quantized(threads, w, DType::kInt8);
  std::vector<float> whole(40), part(40);
  dequantize_row(q, 35, whole.data());
  dequantize_row(q.reshape({48, 40}).rows(0, 48), 35, part.data());
  EXPECT_EQ(whole, part);
  EXPECT_THROW(q.rows(16, 32), Error);
  EXPECT_THROW(q.reshape({24, 80}), Error);
  EXPECT_THROW(q.data<float>(), Error);
}

TEST(QuantizedTensor, RefusesWhatIsNotFinite) {
  ThreadPool threads(2);
  Tensor w = Tensor::zeros({20, 8}, DType::kF32);
  w.mutable_data<float>()[150] = NAN;
  EXPECT_THROW(quantized(threads, w, DType::kInt4), Error);
  EXPECT_THROW(quantized(threads, Tensor::zeros({4, 4}, DType::kI32), DType::kInt8), Error);
}

}  // namespace
}  // namespace vl3
