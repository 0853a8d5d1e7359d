#include "engine/worker_pool.h"

#include <utility>

namespace vl3 {

WorkerPool::WorkerPool(int threads) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
  } catch (...) {  // the system gives no more of them
    stop();
    throw;
  }
}

WorkerPool::~WorkerPool() { stop(); }

void WorkerPool::stop() {
  std::vector<Waiting> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(waiting_);
  }
  wake_.notify_all();
  for (std::thread& thread : std::exchange(threads_, {})) thread.join();
}

void WorkerPool::post(const std::string& client, std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    waiting_.push_back({{0, client, next_++}, std::move(work)});
  }
  wake_.notify_one();
}

void WorkerPool::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    std::vector<Rank> ranks;
    for (const Waiting& waiting : waiting_) ranks.push_back(waiting.rank);
    const size_t next = turns_.next(ranks);
    turns_.served(ranks[next]);
    std::function<void()> work = std::move(waiting_[next].work);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(next));
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace vl3
