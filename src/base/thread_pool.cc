#include "vl3/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "base/check.h"

namespace vl3 {
namespace {

thread_local bool inside_loop = false;  // a property of the thread itself: which loop it is in

// Loops follow one another within microseconds while a model runs: spinning that long is cheaper than
// sleeping.
constexpr int kSpins = 2000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

int available_threads() {
  int count = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) count = CPU_COUNT(&set);
  std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (quota_file >> quota >> period && quota != "max" && period > 0) {
    count = std::min(count, std::max(1, static_cast<int>(std::stod(quota) / period)));
  }
  return std::max(count, 1);
}

ThreadPool::ThreadPool(int num_threads) {
  require(num_threads >= 0 && num_threads <= 1024, ErrorCode::kInvalidArgument,
          "[threads] {} is not between 0 and 1024", num_threads);
  const int total = num_threads == 0 ? available_threads() : num_threads;
  workers_.reserve(static_cast<size_t>(total - 1));
  for (int i = 1; i < total; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::run(Job& job, int thread) {
  const bool outer = inside_loop;
  inside_loop = true;
  try {
    for (;;) {
      const int64_t begin = job.next.fetch_add(job.grain);
      if (begin >= job.count) break;
      (*job.body)(begin, std::min(begin + job.grain, job.count), thread);
    }
  } catch (...) {
    job.next.store(job.count);
    std::lock_guard lock(job.error_mutex);
    if (!job.error) job.error = std::current_exception();
  }
  inside_loop = outer;
}

void ThreadPool::work(int thread) {
  uint64_t seen = 0;
  for (;;) {
    for (int spin = 0; spin < kSpins && generation_.load(std::memory_order_acquire) == seen; ++spin) relax();
    Job* job = nullptr;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
      seen = generation_.load();
      if (stop_) return;
      job = job_;
    }
    run(*job, thread);
    if (running_.fetch_sub(1) == 1) {
      std::lock_guard lock(mutex_);
      done_.notify_one();
    }
  }
}

void ThreadPool::parallel_for(int64_t count, int64_t grain,
                              const std::function<void(int64_t, int64_t, int)>& body) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (inside_loop || workers_.empty() || count <= grain) {
    for (int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count), 0);
    return;
  }
  std::lock_guard one_at_a_time(callers_);
  Job job;
  job.count = count;
  job.grain = grain;
  job.body = &body;
  {
    std::lock_guard lock(mutex_);
    job_ = &job;
    running_.store(static_cast<int>(workers_.size()));
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  run(job, 0);
  for (int spin = 0; spin < kSpins && running_.load(std::memory_order_acquire) != 0; ++spin) relax();
  {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return running_.load() == 0; });
  }
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace vl3
