// Masters of bf16: steps too small for them add up on average, and draws are named, not in a row.

#include "train/optimizer.h"

#include "train/train_support.h"

namespace vl3 {
namespace {

TrainedTensor ones(int64_t n, DType dtype) {
  TrainedTensor t{"weight", Part::kLanguageModel};
  t.value = t.master = Tensor::zeros({n}, dtype);
  for (int64_t i = 0; i < n; ++i) {
    if (dtype == DType::kBF16)
      t.master.mutable_data<bf16>()[i].bits = 0x3f80;
    else
      t.master.mutable_data<float>()[i] = 1;
  }
  t.m = Tensor::zeros({n}, DType::kF32);
  t.v = Tensor::zeros({n}, DType::kF32);
  return t;
}

float value_of(const Tensor& tensor, int64_t i) {
  if (tensor.dtype() == DType::kF32) return tensor.data<float>()[i];
  return std::bit_cast<float>(static_cast<uint32_t>(tensor.data<bf16>()[i].bits) << 16);
}

// Steps whose gradient is 1 everywhere; each moves a weight by nearly the rate.
void make_steps(const TrainedTensor& t, int steps, double rate, uint64_t seed, int threads = 1) {
  Context context({.num_threads = threads, .compute = Compute::kF32});
  std::vector<TrainedTensor> all = {t};
  Tape tape;
  tape.watch(t.value);
  Tensor gradient = Tensor::zeros(t.value.shape(), DType::kF32);
  for (int64_t i = 0; i < gradient.numel(); ++i) gradient.mutable_data<float>()[i] = 1;
  tape.add_gradient(context, t.value, gradient);
  for (int i = 0; i < steps; ++i) adamw_step(context, tape, all, {rate, rate, rate}, 1, {.seed = seed});
}

TEST(Bf16Masters, StepsTooSmallForBf16AddUp) {
  constexpr int64_t kN = 40000;  // more than a piece, and no multiple of a block
  constexpr int kSteps = 20;
  constexpr double kRate = 1e-4;  // bf16 below 1 is 1/256 apart
  TrainedTensor coarse = ones(kN + 3, DType::kBF16), fine = ones(kN + 3, DType::kF32);
  make_steps(coarse, kSteps, kRate, 7);
  make_steps(fine, kSteps, kRate, 7);
  double mean = 0;
  int64_t moved = 0;
  for (int64_t i = 0; i < coarse.master.numel(); ++i) {
    const float value = value_of(coarse.master, i);
    mean += value / static_cast<double>(coarse.master.numel());
    moved += value != 1.0f;
    EXPECT_NEAR(value, 1, 8.0 / 256) << i;
  }
  const double wanted = value_of(fine.master, 0);
  EXPECT_NEAR(wanted, 1 - kSteps * kRate, 1e-6);
  // A weight's deviation is below 1/256; that of the mean of 40,000 below 2e-5.
  EXPECT_NEAR(mean, wanted, 8e-5);
  EXPECT_GT(moved, kN / 4);
  EXPECT_LT(moved, kN * 3 / 4);
}

TEST(Bf16Masters, AreTheSameForAnyNumberOfThreadsAndOthersForAnotherSeed) {
  TrainedTensor one = ones(50001, DType::kBF16), two = ones(50001, DType::kBF16),
                other = ones(50001, DType::kBF16);
  make_steps(one, 3, 1e-3, 7, 1);
  make_steps(two, 3, 1e-3, 7, 2);
  make_steps(other, 3, 1e-3, 8);
  const auto bytes = [](const TrainedTensor& t) {
    return std::string(reinterpret_cast<const char*>(t.master.raw()), t.master.bytes());
  };
  EXPECT_TRUE(bytes(one) == bytes(two));
  EXPECT_FALSE(bytes(one) == bytes(other));
}

}  // namespace
}  // namespace vl3
