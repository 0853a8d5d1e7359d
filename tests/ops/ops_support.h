#pragma once
// What the tests of operations share: random tensors, tensors as doubles, paths of the processor, bounds read
// from docs/numerics.md.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "ops/cpu/kernels/kernels.h"
#include "ops/ops.h"
#include "ops/reference/reference.h"
#include "support/support.h"
#include "tensor/memory_pool.h"
#include "vl3/context.h"
#include "vl3/error.h"
#include "vl3/thread_pool.h"

namespace vl3::test {

using ops::reference::Values;

inline uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline double from_bf16(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
inline double from_f16(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double sign = half & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}
// Cut off, not rounded: any f16 near x will do.
inline uint16_t near_f16(float x) {
  if (std::abs(x) < 6.2e-5f) return 0;
  int exponent;
  const double fraction = std::frexp(std::abs(static_cast<double>(x)), &exponent);
  const int bits = static_cast<int>(fraction * 2048) - 1024;
  return static_cast<uint16_t>((x < 0 ? 0x8000 : 0) | (exponent + 14) << 10 | bits);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2654435761u + 12345) {}
  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  float uniform() { return static_cast<float>(static_cast<double>(next() >> 40) / 8388608.0 - 1.0); }
  // [-scale, scale), of dtype f32, bf16 or f16.
  Tensor tensor(Shape shape, DType dtype = DType::kF32, float scale = 1) {
    Tensor result = Tensor::empty(std::move(shape), dtype);
    for (int64_t i = 0; i < result.numel(); ++i) {
      const float x = scale * uniform();
      if (dtype == DType::kF32)
        result.mutable_data<float>()[i] = x;
      else if (dtype == DType::kBF16)
        result.mutable_data<bf16>()[i].bits = to_bf16(x);
      else
        result.mutable_data<f16>()[i].bits = near_f16(x);
    }
    return result;
  }

 private:
  uint64_t state_;
};

inline Values values(const Tensor& tensor) {
  Values result(static_cast<size_t>(tensor.numel()));
  for (size_t i = 0; i < result.size(); ++i) {
    if (tensor.dtype() == DType::kF32)
      result[i] = tensor.data<float>()[i];
    else if (tensor.dtype() == DType::kBF16)
      result[i] = from_bf16(tensor.data<bf16>()[i].bits);
    else
      result[i] = from_f16(tensor.data<f16>()[i].bits);
  }
  return result;
}

// [n, n]: a head that hands its input on.
inline Tensor identity(int64_t n) {
  Tensor result = Tensor::zeros({n, n}, DType::kF32);
  for (int64_t i = 0; i < n; ++i) result.mutable_data<float>()[i * n + i] = 1;
  return result;
}

inline Values absolute(Values x) {
  for (double& v : x) v = std::abs(v);
  return x;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && (a.numel() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

// The number in the second column of the row of docs/numerics.md that begins with name.
inline double documented(const std::string& name) {
  static const std::string text = "\n" + read_text(data_path("../../docs/numerics.md"));
  const std::string start = "\n| " + name + " | ";
  const size_t at = text.find(start);
  if (at != std::string::npos) return std::strtod(text.c_str() + at + start.size(), nullptr);
  ADD_FAILURE() << "docs/numerics.md has no row \"" << name << '"';
  return 0;
}

// The largest |actual - expected| / (scale of the summands); absolute where scale is empty. NaN is infinite.
inline double largest_error(const Tensor& actual, const Values& expected, const Values& scale = {}) {
  EXPECT_EQ(static_cast<size_t>(actual.numel()), expected.size());
  double largest = 0;
  const Values found = values(actual);
  for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    const double error = std::abs(found[i] - expected[i]) / (scale.empty() ? 1 : std::max(scale[i], 1e-30));
    if (!(error <= largest)) largest = std::isnan(error) ? INFINITY : error;
  }
  return largest;
}

template <class F>
void expect_error(ErrorCode code, const std::string& part, F&& f) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown; expected " << part;
  } catch (const Error& error) {
    EXPECT_EQ(to_string(error.code()), std::string(to_string(code))) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

// Whether an operation wrote behind its result. With AddressSanitizer nobody can.
inline bool slack_untouched(const Tensor& tensor) {
#if !defined(__SANITIZE_ADDRESS__)
  for (size_t i = tensor.bytes(); i < tensor.storage()->bytes(); ++i) {
    if (tensor.raw()[i] != MemoryPool::kGuard) return false;
  }
#else
  (void)tensor;
#endif
  return true;
}

// A test that runs once for every path of the processor.
class EveryPath : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    try {
      Context context(ContextOptions{.num_threads = 1, .cpu = GetParam()});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
      GTEST_SKIP() << error.what();
    }
  }
  static ContextOptions options(int threads = 2, Compute compute = Compute::kF32) {
    return {.num_threads = threads, .compute = compute, .cpu = GetParam()};
  }
};

#define VL3_EVERY_PATH(suite)                                                                   \
  INSTANTIATE_TEST_SUITE_P(Path, suite, ::testing::Values("baseline", "avx2", "avx512", "amx"), \
                           [](const auto& path) { return std::string(path.param); })

}  // namespace vl3::test
