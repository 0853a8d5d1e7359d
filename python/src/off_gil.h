#pragma once
// Long work without the interpreter's lock, which Ctrl-C ends.

#include <chrono>
#include <functional>
#include <optional>
#include <utility>

namespace vl3::python {

// How often signals are looked at.
inline constexpr std::chrono::milliseconds kSignalPeriod{50};

// Runs work with the lock released, and returns when it has ended; called with the lock held. On the main
// thread, where Python handles signals, work runs on a thread of its own, while this one lets signal handlers
// run every kSignalPeriod. What a handler raises (KeyboardInterrupt) calls cancel, which must make work end
// soon and may come at any time while it runs; the exception is then thrown instead of what work threw. What
// work throws otherwise comes out unchanged, an exception of a Python callable too.
void run_off_gil(const std::function<void()>& work, const std::function<void()>& cancel);

// The same with a result.
template <class Work>
auto off_gil(const std::function<void()>& cancel, Work&& work) {
  std::optional<decltype(work())> result;
  run_off_gil([&] { result.emplace(work()); }, cancel);
  return std::move(*result);
}

}  // namespace vl3::python
