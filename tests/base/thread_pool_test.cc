#include "vl3/thread_pool.h"

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

TEST(ThreadPool, ManyShortLoopsAndPoolsLoseNothing) {
  for (int pools = 0; pools < 20; ++pools) {
    ThreadPool pool(1 + pools % 4);
    int64_t plain = 0;  // written between loops only: the loop's end must be seen by the caller
    std::vector<int64_t> sums(static_cast<size_t>(pool.size()), 0);
    for (int loop = 0; loop < 200; ++loop) {
      pool.parallel_for(8, 1, [&](int64_t begin, int64_t, int thread) {
        sums[static_cast<size_t>(thread)] += begin + plain;
      });
      ++plain;
    }
    EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), int64_t{0}), 200 * 28 + 8 * (199 * 200 / 2));
  }
}

TEST(ThreadPool, CallersFromSeveralThreadsTakeTurns) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::vector<int64_t> totals(4, 0);
  for (size_t caller = 0; caller < totals.size(); ++caller) {
    callers.emplace_back([&, caller] {
      for (int loop = 0; loop < 100; ++loop) {
        std::vector<int64_t> part(3, 0);
        pool.parallel_for(30, 2, [&](int64_t begin, int64_t end, int thread) {
          for (int64_t i = begin; i < end; ++i) part[static_cast<size_t>(thread)] += i;
        });
        totals[caller] += part[0] + part[1] + part[2];
      }
    });
  }
  for (auto& caller : callers) caller.join();
  for (const int64_t total : totals) EXPECT_EQ(total, 100 * 435);
}

TEST(ThreadPool, EveryThreadMayThrow) {
  ThreadPool pool(4);
  for (int loop = 0; loop < 100; ++loop) {
    EXPECT_THROW(pool.parallel_for(40, 1, [](int64_t, int64_t, int) { throw std::runtime_error("all"); }),
                 std::runtime_error);
  }
}

}  // namespace
}  // namespace vl3
