#pragma once
// A fixed set of threads that run one loop at a time.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "vl3/export.h"

namespace vl3 {

// As many threads as this process may use: its affinity mask and its cgroup's CPU quota, at least 1.
VL3_API int available_threads();

class VL3_API ThreadPool {
 public:
  explicit ThreadPool(int num_threads);  // the calling thread counts as one of them; 0: available_threads()
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  // Runs body(begin, end, thread) over [0, count) in pieces of at most grain, handed out as threads become
  // free; thread is in [0, size()). Returns when all are done. The first exception thrown is thrown again
  // here. Not to be called from within a body: a nested call runs on the calling thread alone.
  void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t, int)>& body);

 private:
  struct Job {
    int64_t count = 0, grain = 1;
    const std::function<void(int64_t, int64_t, int)>* body = nullptr;
    std::atomic<int64_t> next{0};
    std::mutex error_mutex;
    std::exception_ptr error;
  };
  void work(int thread);
  static void run(Job& job, int thread);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> running_{0};
  Job* job_ = nullptr;
  bool stop_ = false;
  std::mutex callers_;  // one loop at a time
};

}  // namespace vl3
