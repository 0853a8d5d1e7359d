#pragma once
// The interpreter's lock: taken for a callback, let go for long work. Where Python ends while threads are in
// a call, it would cut them off as soon as they ask for the lock, in the middle of C++ frames; here they wait
// for the end of the process instead.

#include <nanobind/nanobind.h>

#include <functional>

namespace vl3::python {

// Holds the lock, on any thread.
class WithGil {
 public:
  WithGil();
  ~WithGil();
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

  // Whether this thread runs what Python was called for in the middle of a call of ours.
  static bool in_callback() noexcept;

 private:
  nanobind::gil_scoped_acquire acquired_;
};

// Lets the lock go; made with it held. When Python ends, cancel is called, which must end the work soon and
// may come on another thread, at any time; then the thread stays here for good.
class WithoutGil {
 public:
  WithoutGil() : WithoutGil(nullptr) {}
  explicit WithoutGil(const std::function<void()>* cancel);
  ~WithoutGil();
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  const std::function<void()>* cancel_;
  bool outermost_;
  PyThreadState* state_;
};

// When Python ends, on the thread that ends it, with the lock held: cancels what other threads have under
// way, and waits until none of them is in a call. Those that begin one later stay there.
void end_calls();

}  // namespace vl3::python
