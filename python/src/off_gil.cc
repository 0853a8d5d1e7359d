#include "off_gil.h"

#include <nanobind/nanobind.h>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "gil.h"

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace nb = nanobind;

namespace vl3::python {
namespace {

// Whether Python may handle signals on this thread. Where that is not known: yes, which costs a thread.
bool may_handle_signals() {
#ifdef __linux__
  return syscall(SYS_gettid) == getpid();
#else
  return true;
#endif
}

}  // namespace

void run_off_gil(const std::function<void()>& work, const std::function<void()>& cancel) {
  if (!may_handle_signals()) {
    const WithoutGil release(&cancel);
    return work();
  }
  std::mutex mutex;
  std::condition_variable ended_changed;
  bool ended = false;
  std::exception_ptr failure, interrupt;
  {
    const WithoutGil release;
    std::thread worker([&] {
      std::exception_ptr thrown;
      try {
        work();
      } catch (...) {
        thrown = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      failure = std::move(thrown);
      ended = true;
      ended_changed.notify_one();
    });
    std::unique_lock lock(mutex);
    while (!ended_changed.wait_for(lock, kSignalPeriod, [&] { return ended; })) {
      if (interrupt) continue;  // asked already
      lock.unlock();
      {
        const WithGil acquire;
        if (PyErr_CheckSignals() != 0) interrupt = std::make_exception_ptr(nb::python_error());
      }
      if (interrupt) cancel();
      lock.lock();
    }
    lock.unlock();
    worker.join();
  }
  if (interrupt) std::rethrow_exception(interrupt);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace vl3::python
