// Paths, the pool of buffers, cancellation.

#include <cstdlib>
#include <optional>
#include <thread>

#include "ops/ops_support.h"
#include "runtime/context_parts.h"
#include "support/fake_backend.h"

namespace vl3 {
namespace {

using namespace test;

class Environment {
 public:
  explicit Environment(const char* value, const char* name = "VL3_CPU") : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    if (value != nullptr)
      setenv(name, value, 1);
    else
      unsetenv(name);
  }
  ~Environment() {
    if (old_)
      setenv(name_, old_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

const ContextOptions kOneThread{.num_threads = 1};

TEST(ContextPath, TheEnvironmentForcesAPathAndOptionsGoBeforeIt) {
  int forced = 0;
  for (const KernelSet* set : {baseline_kernels(), avx2_kernels(), avx512_kernels(), amx_kernels()}) {
    if (set == nullptr) continue;
    const Environment environment(set->name);
    EXPECT_STREQ(kernels_of(Context(kOneThread)).name, set->name);
    EXPECT_STREQ(kernels_of(Context(ContextOptions{.num_threads = 1, .cpu = "baseline"})).name, "baseline");
    ++forced;
  }
  printf("%d paths forced\n", forced);
}

TEST(ContextDevice, OptionsGoBeforeTheEnvironmentAndTheHostIsTheDefault) {
  const auto fake = std::make_shared<FakeBackend>();
  const auto device = [&](const char* name) {
    return to_string(Context(ContextOptions{.num_threads = 1, .device = name, .backends = {fake}}).device());
  };
  {
    const Environment environment(nullptr, "VL3_DEVICE");
    EXPECT_EQ(device(""), "cpu");
    EXPECT_EQ(device("fake"), "fake:0");
  }
  {
    const Environment environment("", "VL3_DEVICE");
    EXPECT_EQ(device(""), "cpu");
  }
  const Environment environment("fake", "VL3_DEVICE");
  EXPECT_EQ(device(""), "fake:0");
  EXPECT_EQ(device("cpu"), "cpu");
  expect_error(ErrorCode::kInvalidArgument, "[device] \"fake\" is not one of cpu",
               [] { Context context(kOneThread); });
}

TEST(ContextDevice, UnknownOnesAreRefusedWithTheList) {
  const auto fake = std::make_shared<FakeBackend>();
  expect_error(ErrorCode::kInvalidArgument, "[device] \"tpu\" is not one of cpu, fake", [&] {
    Context context(ContextOptions{.num_threads = 1, .device = "tpu", .backends = {fake}});
  });
}

TEST(ContextPath, TheBestIsTheDefault) {
  const Environment environment(nullptr);
  const KernelSet* best = amx_kernels() != nullptr      ? amx_kernels()
                          : avx512_kernels() != nullptr ? avx512_kernels()
                          : avx2_kernels() != nullptr   ? avx2_kernels()
                                                        : baseline_kernels();
  EXPECT_STREQ(kernels_of(Context(kOneThread)).name, best->name);
  EXPECT_STREQ(kernels_of(Context(ContextOptions{.num_threads = 1, .cpu = "auto"})).name, best->name);
}

TEST(ContextPath, UnknownAndUnsupportedPathsAreRefused) {
  const auto open = [](const char* name) {
    return [name] { Context context(ContextOptions{.num_threads = 1, .cpu = name}); };
  };
  expect_error(ErrorCode::kInvalidArgument, "[cpu] path \"sse9\" is not one of", open("sse9"));
  {
    const Environment environment("pentium");
    expect_error(ErrorCode::kInvalidArgument, "\"pentium\"", open(""));
  }
  for (const auto& [name, set] : {std::pair("avx2", avx2_kernels()), std::pair("avx512", avx512_kernels()),
                                  std::pair("amx", amx_kernels())}) {
    if (set == nullptr) {
      expect_error(ErrorCode::kUnsupported, std::string("cannot run the path \"") + name, open(name));
    } else {
      EXPECT_NO_THROW(open(name)());
    }
  }
  expect_error(ErrorCode::kInvalidArgument, "[threads] -1",
               [] { Context context(ContextOptions{.num_threads = -1}); });
}

TEST(ContextPool, BuffersAreUsedAgain) {
  Context context(kOneThread);
  EXPECT_EQ(context.used_bytes(), 0u);
  std::byte* first = nullptr;
  {
    const Tensor a = context.empty({100});
    first = a.mutable_raw();
    EXPECT_GE(context.used_bytes(), 400u);
    const Tensor b = context.empty({100});
    EXPECT_NE(b.raw(), first);
  }
  EXPECT_EQ(context.used_bytes(), 0u);
  const Tensor again = context.empty({99}), other = context.empty({98});
  EXPECT_TRUE(again.raw() == first || other.raw() == first);
}

TEST(ContextPool, APassSettlesOnAFixedSetOfBuffers) {
  Context context(ContextOptions{.num_threads = 2});
  Random random(1);
  const Tensor x = random.tensor({33, 64}), w = random.tensor({64, 64}, DType::kBF16),
               norm = random.tensor({64});
  const auto pass = [&] {
    const Tensor h = ops::rms_norm(context, x, norm, 1e-6f);
    const Tensor q = ops::linear(context, h, w).reshape({33, 4, 16});
    const std::vector<int64_t> borders = {0, 33};
    const Tensor y = ops::attention(context, q, q, q, borders, borders, 0.25f, true);
    return ops::linear(context, y.reshape({33, 64}), w, {}, {ops::Activation::kSilu, &x});
  };
  const Tensor expected = pass();
  const size_t peak = context.peak_bytes();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(same_bits(pass(), expected));
  // The result that is kept comes on top of what the first pass needed.
  EXPECT_LE(context.peak_bytes(), peak + expected.storage()->bytes());
  const size_t settled = context.peak_bytes();
  for (int i = 0; i < 20; ++i) pass();
  EXPECT_EQ(context.peak_bytes(), settled);
  context.release_unused();
  EXPECT_EQ(context.used_bytes(), expected.storage()->bytes());
  EXPECT_TRUE(same_bits(pass(), expected));
}

TEST(ContextPool, TensorsOutliveTheContext) {
  Tensor kept, view;
  {
    Context context(kOneThread);
    Random random(2);
    kept = ops::add(context, random.tensor({5, 7}), Tensor::zeros({5, 7}, DType::kF32));
    view = ops::add(context, kept, kept).rows(1, 2);
  }
  for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(view.data<float>()[i], 2 * kept.data<float>()[7 + i]);
}

TEST(ContextPool, TensorsMayBeLetGoByOtherThreads) {
  Context context(kOneThread);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&context, i] {
      for (int64_t j = 0; j < 200; ++j) {
        Tensor t = context.empty({1 + (j * 7 + i) % 50});
        t.mutable_data<float>()[0] = 1;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(context.used_bytes(), 0u);
}

TEST(ContextPool, ImpossibleSizesAreRefused) {
  Context context(kOneThread);
  expect_error(ErrorCode::kInvalidArgument, "[tensor] negative extent", [&] { context.empty({2, -1}); });
  expect_error(ErrorCode::kLimitExceeded, "overflows", [&] {
    context.empty({int64_t{1} << 40, int64_t{1} << 40});
  });
  expect_error(ErrorCode::kLimitExceeded, "overflows", [&] { context.empty({int64_t{1} << 62}); });
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  expect_error(ErrorCode::kOutOfMemory, "cannot allocate", [&] { context.empty({int64_t{1} << 55}); });
#endif
  EXPECT_EQ(context.used_bytes(), 0u);
  EXPECT_EQ(context.empty({0, 5}).numel(), 0);
}

TEST(ContextCancel, AnyThreadMayAsk) {
  Context context(kOneThread);
  EXPECT_NO_THROW(context.check_cancelled());
  std::thread([&] { context.cancel(); }).join();
  EXPECT_TRUE(context.cancelled());
  expect_error(ErrorCode::kCancelled, "cancelled", [&] { context.check_cancelled(); });
  context.clear_cancel();
  EXPECT_NO_THROW(context.check_cancelled());
}

TEST(ContextLog, GoesToTheSinkOrNowhere) {
  std::string lines;
  Context loud(ContextOptions{.num_threads = 1, .log = [&](LogLevel level, std::string_view message) {
                                lines += level == LogLevel::kWarning ? "W " : "- ";
                                lines += message;
                              }});
  loud.log(LogLevel::kWarning, "one");
  Context(kOneThread).log(LogLevel::kInfo, "two");
  EXPECT_EQ(lines, "W one");
}

TEST(Context, KeepsLittleMoreThanWasInUseAtOnceHoweverSizesVary) {
  Context context({.num_threads = 1});
  for (int64_t i = 1; i <= 200; ++i) {
    const Tensor a = context.empty({i * 5000}), b = context.empty({(201 - i) * 7000});
    EXPECT_LE(context.held_bytes(), context.peak_bytes() * 5 / 4);
  }
  EXPECT_LE(context.held_bytes(), context.peak_bytes() * 5 / 4);
  context.release_unused();
  EXPECT_EQ(context.held_bytes(), 0U);
}

}  // namespace
}  // namespace vl3
