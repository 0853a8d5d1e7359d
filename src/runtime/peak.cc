#include "runtime/peak.h"

#include <algorithm>
#include <atomic>

#include "base/clock.h"
#include "vl3/thread_pool.h"

namespace vl3 {

std::vector<double> operation_rates(int tries, const std::function<double()>& operations) {
  std::vector<double> result;
  for (int i = 0; i < tries; ++i) {
    const double start = now_s();
    const double done = operations();
    result.push_back(done / (now_s() - start) * 1e-9);
  }
  std::sort(result.begin(), result.end());
  return result;
}

double peak_fma_gflops(Context& context, int64_t (*peak_fma)(int64_t rounds)) {
  constexpr int64_t kRounds = 2'000'000;
  return operation_rates(7,
                         [&] {
                           std::atomic<int64_t> operations{0};
                           context.threads().parallel_for(
                               context.threads().size(), 1,
                               [&](int64_t, int64_t, int) { operations += peak_fma(kRounds); });
                           return static_cast<double>(operations.load());
                         })
      .back();
}

}  // namespace vl3
