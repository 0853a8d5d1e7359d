#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>

namespace vl3 {
namespace {

TEST(ThreadPool, VisitsEveryIndexOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const int64_t count : {0, 1, 7, 1000}) {
      for (const int64_t grain : {1, 3, 5000}) {
        std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
        pool.parallel_for(count, grain, [&](int64_t begin, int64_t end, int thread) {
          EXPECT_TRUE(thread >= 0 && thread < threads);
          for (int64_t i = begin; i < end; ++i) visits[static_cast<size_t>(i)]++;
        });
        for (const auto& visit : visits) EXPECT_EQ(visit, 1);
      }
    }
  }
}

TEST(ThreadPool, PassesOnTheFirstExceptionAndGoesOnWorking) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.parallel_for(100, 1,
                                 [](int64_t begin, int64_t, int) {
                                   if (begin == 50) throw std::runtime_error("fifty");
                                 }),
               std::runtime_error);
  std::atomic<int> count = 0;
  pool.parallel_for(10, 1, [&](int64_t, int64_t, int) { ++count; });
  EXPECT_EQ(count, 10);
}

TEST(ThreadPool, NestedLoopsRunOnTheCallingThread) {
  ThreadPool pool(2);
  std::atomic<int> count = 0;
  pool.parallel_for(4, 1, [&](int64_t, int64_t, int) {
    pool.parallel_for(8, 2, [&](int64_t begin, int64_t end, int) { count += static_cast<int>(end - begin); });
  });
  EXPECT_EQ(count, 32);
}

}  // namespace
}  // namespace vl3
