// The inner loops themselves: every stored number widened, buffers with marked surroundings, the running
// softmax.

#include "ops/cpu/matmul.h"
#include "ops/ops_support.h"
#include "runtime/context_parts.h"

namespace vl3 {
namespace {

using namespace test;

constexpr float kMark = -12345.5f;

// n floats between two marked stretches.
struct Guarded {
  explicit Guarded(int64_t n, float fill = 0) : all(static_cast<size_t>(n + 128), kMark), count(n) {
    std::fill_n(all.begin() + 64, n, fill);
  }
  float* data() { return all.data() + 64; }
  bool intact() const {
    for (size_t i = 0; i < 64; ++i) {
      if (all[i] != kMark || all[all.size() - 1 - i] != kMark) return false;
    }
    return true;
  }
  std::vector<float> all;
  int64_t count;
};

class Kernels : public EveryPath {
 protected:
  const KernelSet& set() {
    if (!context_) context_ = std::make_unique<Context>(options(1));
    return kernels_of(*context_);
  }
  std::unique_ptr<Context> context_;
};
VL3_EVERY_PATH(Kernels);

TEST_P(Kernels, TheForcedPathIsTheOneThatRuns) {
  EXPECT_STREQ(set().name, GetParam());
  EXPECT_EQ(set().tile_columns % set().width, 0);
}

TEST_P(Kernels, WidenEveryHalf) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  for (const bool f16 : {false, true}) {
    std::vector<float> wide(65536), one(1);
    set().widen(halves.data(), f16 ? WeightType::kF16 : WeightType::kBF16, 65536, wide.data());
    for (size_t i = 0; i < halves.size(); ++i) {
      set().widen(&halves[i], f16 ? WeightType::kF16 : WeightType::kBF16, 1, one.data());
      const double expected = f16 ? from_f16(halves[i]) : from_bf16(halves[i]);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(wide[i]) && std::isnan(one[0])) << i;
      } else {
        ASSERT_EQ(wide[i], expected) << i;
        ASSERT_EQ(one[0], expected) << i;
      }
    }
  }
}

TEST_P(Kernels, PackAndTileOfEverySize) {
  const int64_t columns = set().tile_columns;
  int64_t count = 0;
  for (int64_t m = 1; m <= set().tile_rows; ++m) {
    for (int64_t n = 1; n <= columns; ++n) {
      for (const int64_t k : {1, 5, 16, 37}) {
        for (const bool accumulate : {false, true}) {
          Random random(static_cast<uint64_t>(m * 100 + n));
          const Tensor a = random.tensor({m, k}), w = random.tensor({n, k});
          Guarded packed(k * columns), c(m * n, 0.5f);
          set().pack(w.raw(), WeightType::kF32, k, n, k, packed.data());
          set().tile(a.data<float>(), k, packed.data(), columns, m, n, k, c.data(), n, accumulate);
          ASSERT_TRUE(packed.intact() && c.intact()) << m << ' ' << n << ' ' << k;
          const Values expected = ops::reference::linear(values(a), k, values(w), {});
          for (int64_t i = 0; i < m * n; ++i)
            ASSERT_NEAR(c.data()[i], expected[static_cast<size_t>(i)] + (accumulate ? 0.5 : 0), 1e-5);
          ++count;
        }
      }
    }
  }
  printf("%lld tiles equal\n", static_cast<long long>(count));
}

TEST_P(Kernels, MicroPanelsOfEveryWidth) {
  constexpr int64_t kAround = 5;  // more columns than are asked for
  for (const int64_t rows : {1, 6, 8, 12, 14, 16, 32}) {
    for (const int64_t m : {1, 6, 13, 16, 31, 96}) {
      for (const int64_t k : {1, 3, 40}) {
        Random random(static_cast<uint64_t>(rows * 1000 + m * 10 + k));
        const Tensor a = random.tensor({k, m + kAround});
        const int64_t strips = (m + rows - 1) / rows, stride = k * rows + set().width;
        Guarded target(strips * stride);
        set().pack_a_panels(a.data<float>(), m + kAround, m, k, rows, stride, target.data());
        ASSERT_TRUE(target.intact()) << rows << ' ' << m << ' ' << k;
        for (int64_t j = 0; j < m; ++j) {
          for (int64_t i = 0; i < k; ++i) {
            ASSERT_EQ(target.data()[j / rows * stride + i * rows + j % rows],
                      a.data<float>()[i * (m + kAround) + j])
                << rows << ' ' << m << ' ' << k;
          }
        }
      }
    }
  }
}

TEST_P(Kernels, PairsOfEverySize) {
  if (set().tile_pairs == nullptr) GTEST_SKIP() << "no products of bf16 pairs on this path and processor";
  const int64_t columns = set().tile_columns;
  for (int64_t m = 1; m <= set().pair_rows; ++m) {
    for (int64_t n = 1; n <= columns; ++n) {
      for (const int64_t k : {1, 2, 5, 32, 67}) {
        Random random(static_cast<uint64_t>(m * 100 + n));
        const Tensor a = random.tensor({m, k}), w = random.tensor({n, k}, DType::kBF16);
        const int64_t pairs = (k + 1) / 2;
        Guarded packed(pairs * columns), rounded(m * pairs), c(m * n, 0.5f);
        uint32_t* words = reinterpret_cast<uint32_t*>(rounded.data());
        for (int64_t i = 0; i < m; ++i) set().round_pairs(a.data<float>() + i * k, k, words + i * pairs);
        set().pack_pairs(reinterpret_cast<const uint16_t*>(w.raw()), k, n, pairs, k % 2 != 0,
                         reinterpret_cast<uint32_t*>(packed.data()));
        set().tile_pairs(words, pairs, reinterpret_cast<uint32_t*>(packed.data()), columns, m, n, pairs,
                         c.data(), n, true);
        ASSERT_TRUE(packed.intact() && rounded.intact() && c.intact()) << m << ' ' << n << ' ' << k;
        Values halves = values(a);
        for (double& v : halves) v = from_bf16(to_bf16(static_cast<float>(v)));
        const Values expected = ops::reference::linear(halves, k, values(w), {});
        for (int64_t i = 0; i < m * n; ++i)
          ASSERT_NEAR(c.data()[i], 0.5 + expected[static_cast<size_t>(i)], 1e-5);
      }
    }
  }
}

TEST_P(Kernels, GemvWithStridesStayInTheirBuffer) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (int64_t m = 1; m <= 9; ++m) {
      for (const int64_t n : {1, 3, 4, 5, 9}) {
        for (const int64_t k : {1, 7, 16, 33, 71}) {
          Random random(static_cast<uint64_t>(m * n * k));
          const Tensor x = random.tensor({m, k}), w = random.tensor({n, k}, dtype);
          Guarded y(m * (n + 2), 7);
          const auto gemv = [&](int64_t first, int64_t rows, float* target, const void* next) {
            set().gemv(w.raw(), ops::weight_type(w), k, n, x.data<float>() + first * k, k, rows, k, target,
                       n + 2, next);
          };
          gemv(0, m, y.data(), w.raw());
          ASSERT_TRUE(y.intact());
          const Values expected = ops::reference::linear(values(x), k, values(w), {});
          for (int64_t i = 0; i < m; ++i) {
            Guarded alone(n + 2, 7);  // the same bits as among others
            gemv(i, 1, alone.data(), nullptr);
            for (int64_t r = 0; r < n; ++r) {
              ASSERT_NEAR(y.data()[i * (n + 2) + r], expected[static_cast<size_t>(i * n + r)], 1e-5);
              ASSERT_EQ(y.data()[i * (n + 2) + r], alone.data()[r]);
            }
            ASSERT_EQ(y.data()[i * (n + 2) + n], 7);
            ASSERT_EQ(y.data()[i * (n + 2) + n + 1], 7);
          }
        }
      }
    }
  }
}

TEST_P(Kernels, GemvOfPairsWithStridesStayInTheirBuffer) {
  if (set().gemv_pairs == nullptr) GTEST_SKIP() << "no products of bf16 pairs on this path and processor";
  for (int64_t m = 1; m <= 9; ++m) {
    for (const int64_t n : {1, 2, 3, 4, 7}) {
      for (const int64_t k : {1, 2, 7, 31, 32, 33, 63, 64, 65, 97, 130}) {
        Random random(static_cast<uint64_t>(m * n * k));
        const Tensor x = random.tensor({m, k}), w = random.tensor({n, k}, DType::kBF16);
        const int64_t pairs = (k + 1) / 2, ldy = n + 2;
        Guarded rounded(m * pairs), y(m * ldy, 7);
        uint32_t* words = reinterpret_cast<uint32_t*>(rounded.data());
        for (int64_t i = 0; i < m; ++i) set().round_pairs(x.data<float>() + i * k, k, words + i * pairs);
        const auto gemv = [&](int64_t first, int64_t rows, float* target) {
          set().gemv_pairs(reinterpret_cast<const uint16_t*>(w.raw()), k, n, words + first * pairs, pairs,
                           rows, k, target, ldy);
        };
        gemv(0, m, y.data());
        ASSERT_TRUE(y.intact());
        Values halves = values(x);
        for (double& v : halves) v = from_bf16(to_bf16(static_cast<float>(v)));
        const Values expected = ops::reference::linear(halves, k, values(w), {});
        for (int64_t i = 0; i < m; ++i) {
          Guarded alone(ldy, 7);  // the same bits as among others
          gemv(i, 1, alone.data());
          for (int64_t r = 0; r < n; ++r) {
            ASSERT_NEAR(y.data()[i * ldy + r], expected[static_cast<size_t>(i * n + r)], 1e-5);
            ASSERT_EQ(y.data()[i * ldy + r], alone.data()[r]) << m << ' ' << n << ' ' << k;
          }
          ASSERT_EQ(y.data()[i * ldy + n], 7);
          ASSERT_EQ(y.data()[i * ldy + n + 1], 7);
        }
      }
    }
  }
}

TEST_P(Kernels, WeightedSumAddsWithinItsBuffer) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (int64_t m = 1; m <= 13; ++m) {
      for (const int64_t n : {1, 4, 12, 16, 72, 130}) {
        for (const int64_t count : {0, 1, 5, 64}) {
          Random random(static_cast<uint64_t>(m * n + count));
          const Tensor p = random.tensor({m, count + 1}), v = random.tensor({count + 1, n + 4}, dtype);
          const Values weights = values(p), rows = values(v);
          Guarded y(m * (n + 2), 7);
          set().weighted_sum(p.data<float>(), count + 1, v.raw(), ops::weight_type(v), n + 4, m, count, n,
                             y.data(), n + 2, m % 2 == 0 ? v.raw() : nullptr);
          ASSERT_TRUE(y.intact());
          for (int64_t i = 0; i < m; ++i) {
            for (int64_t d = 0; d < n + 2; ++d) {
              double sum = 7;
              for (int64_t j = 0; d < n && j < count; ++j) {
                sum += weights[static_cast<size_t>(i * (count + 1) + j)] *
                       rows[static_cast<size_t>(j * (n + 4) + d)];
              }
              ASSERT_NEAR(y.data()[i * (n + 2) + d], sum, 2e-5);
            }
          }
        }
      }
    }
  }
}

TEST_P(Kernels, TransposePadsWithZeros) {
  for (const int64_t rows : {1, 3, 4, 8, 15, 16, 17, 31}) {
    for (const int64_t columns : {1, 4, 8, 13, 16, 36, 72}) {
      const int64_t padded = (rows + set().width - 1) / set().width * set().width;
      Random random(3);
      const Tensor x = random.tensor({rows, columns + 3});
      Guarded y(columns * padded, 9);
      set().transpose(x.data<float>(), columns + 3, rows, columns, y.data(), padded);
      ASSERT_TRUE(y.intact());
      for (int64_t c = 0; c < columns; ++c) {
        for (int64_t r = 0; r < padded; ++r)
          ASSERT_EQ(y.data()[c * padded + r], r < rows ? x.data<float>()[r * (columns + 3) + c] : 0);
      }
    }
  }
}

TEST_P(Kernels, ExpAndTheRunningSoftmax) {
  double largest = 0;
  for (int64_t n = 1; n <= 70; ++n) {
    Random random(static_cast<uint64_t>(n));
    Guarded scores(n);
    Values exact;
    for (int64_t i = 0; i < n; ++i) exact.push_back(scores.data()[i] = 40 * random.uniform());
    float maximum = -INFINITY, sum = 0;
    EXPECT_EQ(set().softmax_step(scores.data(), n, 0.5f, &maximum, &sum), 0);
    ASSERT_TRUE(scores.intact());
    double total = 0;
    EXPECT_EQ(maximum, static_cast<float>(*std::max_element(exact.begin(), exact.end()) * 0.5));
    for (int64_t i = 0; i < n; ++i) {
      // As the kernel has it: the argument rounded to f32.
      const double p =
          std::exp(static_cast<double>(static_cast<float>(exact[static_cast<size_t>(i)] * 0.5 - maximum)));
      largest = std::max(largest, std::abs(scores.data()[i] - p) / p);
      total += p;
    }
    EXPECT_NEAR(sum, total, 1e-6 * total);
  }
  EXPECT_LE(largest, documented("exp"));
  printf("largest relative error of exp %.3g\n", largest);
}

TEST_P(Kernels, TheRunningSoftmaxInPairs) {
  if (set().softmax_pairs == nullptr) GTEST_SKIP() << "no products of bf16 pairs on this path and processor";
  const int64_t width = 2 * set().width;
  for (int64_t n = 1; n <= 150; ++n) {
    Random random(static_cast<uint64_t>(n));
    std::vector<float> scores(static_cast<size_t>(n));
    for (float& s : scores) s = 10 * random.uniform();
    scores[static_cast<size_t>(n / 3)] = 500;  // whose exponential is no number, unless it is the maximum
    scores[static_cast<size_t>(n * 5 / 7)] = 501;
    const int64_t filled = (n + width - 1) / width * width / 2;  // words
    Guarded target(filled, kMark);
    float maximum = 2, sum = 3;
    const float correction = set().softmax_pairs(scores.data(), n, 0.5f, &maximum, &sum,
                                                 reinterpret_cast<uint32_t*>(target.data()));
    ASSERT_TRUE(target.intact());
    ASSERT_EQ(maximum, 250.5f) << n;
    ASSERT_NEAR(correction, std::exp(2 - 250.5), 1e-6);
    double total = 3 * std::exp(2 - 250.5);
    const auto* halves = reinterpret_cast<const uint16_t*>(target.data());
    for (int64_t i = 0; i < 2 * filled; ++i) {
      const double p =
          i < n ? std::exp(static_cast<double>(scores[static_cast<size_t>(i)]) * 0.5 - 250.5) : 0;
      ASSERT_NEAR(from_bf16(halves[i]), p, p / 256 + 1e-30) << i << " of " << n;
      total += p;
    }
    ASSERT_NEAR(sum, total, 1e-5 * total);
  }
}

TEST_P(Kernels, NanIsNotSwallowedBySoftmax) {
  for (const int64_t n : {1, 3, 16, 21, 40, 70, 100}) {
    for (int64_t at = 0; at < n; ++at) {
      Guarded scores(n, 1.0f), target(n / 2 + 64);
      scores.data()[at] = NAN;
      float maximum = -INFINITY, sum = 0;
      if (set().softmax_pairs != nullptr) {
        set().softmax_pairs(scores.data(), n, 1.0f, &maximum, &sum,
                            reinterpret_cast<uint32_t*>(target.data()));
        ASSERT_TRUE(std::isnan(sum)) << at << " of " << n << " in pairs";
        maximum = -INFINITY, sum = 0;
      }
      set().softmax_step(scores.data(), n, 1.0f, &maximum, &sum);
      ASSERT_TRUE(std::isnan(sum)) << at << " of " << n;
    }
  }
}

}  // namespace
}  // namespace vl3
