#pragma once
// Threads that do what whoever asks and the engine's thread must not wait for. Clients are served in turn.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "generate/turns.h"

namespace vl3 {

// Thread-safe but for the destructor.
class WorkerPool {
 public:
  explicit WorkerPool(int threads);
  ~WorkerPool();  // ends what is under way; what waits is dropped
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Must not throw. After stop(), dropped at once.
  void post(const std::string& client, std::function<void()> work);
  void stop();  // as the destructor

 private:
  struct Waiting {
    Rank rank;
    std::function<void()> work;
  };
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Waiting> waiting_;
  Turns turns_;
  uint64_t next_ = 1;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace vl3
