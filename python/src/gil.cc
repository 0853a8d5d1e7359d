#include "gil.h"

#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

namespace vl3::python {
namespace {

constexpr std::chrono::seconds kPatience{60};  // with work that does not end when it is cancelled

// The calls without the lock of all threads. A thread counts until it has the lock again.
struct Calls {
  std::mutex mutex;
  std::condition_variable left;
  int inside = 0;
  std::vector<const std::function<void()>*> cancels;
  bool ending = false;
  std::thread::id ended_by;
};

// Never destroyed: threads may come out of their work while the process ends. A fork's child has none of
// them.
Calls& calls() {
  static Calls* const all = new Calls;
  [[maybe_unused]] static const int told = pthread_atfork(nullptr, nullptr, [] { new (all) Calls; });
  return *all;
}

thread_local int callbacks = 0, releases = 0;

[[noreturn]] void stay() {
  for (;;) pause();
}

}  // namespace

WithGil::WithGil() { ++callbacks; }
WithGil::~WithGil() { --callbacks; }
bool WithGil::in_callback() noexcept { return callbacks > 0; }

// A call from a callback comes back to it, whatever happens: the call around it is waited for.
WithoutGil::WithoutGil(const std::function<void()>* cancel)
    : cancel_(cancel), outermost_(callbacks == 0 && releases == 0) {
  Calls& all = calls();
  bool stays = false;
  {
    const std::lock_guard lock(all.mutex);
    stays = outermost_ && all.ending && all.ended_by != std::this_thread::get_id();
    if (!stays) ++all.inside;
    if (!stays && cancel_ != nullptr) all.cancels.push_back(cancel_);
  }
  ++releases;
  state_ = PyEval_SaveThread();
  if (stays) stay();
}

WithoutGil::~WithoutGil() {
  Calls& all = calls();
  --releases;
  {
    std::unique_lock lock(all.mutex);
    if (cancel_ != nullptr) std::erase(all.cancels, cancel_);
    if (outermost_ && all.ending && all.ended_by != std::this_thread::get_id()) {
      --all.inside;
      all.left.notify_all();
      lock.unlock();
      stay();
    }
  }
  PyEval_RestoreThread(state_);
  const std::lock_guard lock(all.mutex);
  --all.inside;
  all.left.notify_all();
}

void end_calls() {
  Calls& all = calls();
  PyThreadState* const state = PyEval_SaveThread();
  {
    std::unique_lock lock(all.mutex);
    all.ending = true;
    all.ended_by = std::this_thread::get_id();
    for (const auto* cancel : all.cancels) (*cancel)();
    all.left.wait_for(lock, kPatience, [&] { return all.inside == 0; });
  }
  PyEval_RestoreThread(state);
}

}  // namespace vl3::python
