#pragma once
// A request of the C interface: what the engine's thread tells of it, until somebody asks.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <string>

#include "vl3/generation.h"

namespace vl3::capi {

struct Event {
  bool token = false;  // else progress
  StreamEvent of_token;
  std::string text;  // of_token.text, which does not live on
  double logprob = std::numeric_limits<double>::quiet_NaN();
  std::string stage;
  int64_t done = 0, total = 0;
};

// Thread-safe.
class Request {
 public:
  // Told by the engine. Progress of a stage takes the place of progress that nobody has seen yet.
  void tell(const StreamEvent& event);
  void tell_progress(std::string_view stage, int64_t done, int64_t total);
  void finish(std::string result);       // JSON text
  void fail(std::exception_ptr reason);  // later ends are passed over

  // Asked by the caller. False while the request goes on; throws what it ended with, once all is told.
  // on_event: false cancels. negative timeouts have no end.
  bool poll(std::chrono::milliseconds timeout, const std::function<bool(const Event&)>& on_event);
  // Nothing while it goes on; throws what it ended with.
  std::optional<std::string> result() const;

  void ask_to_cancel() noexcept { cancel_asked_.store(true); }
  bool cancel_asked() const noexcept { return cancel_asked_.load(); }

 private:
  void end(std::string result, std::exception_ptr reason);

  std::atomic<bool> cancel_asked_{false};
  mutable std::mutex mutex_;
  std::condition_variable news_;
  std::deque<Event> events_;
  bool ended_ = false;
  std::string result_;
  std::exception_ptr reason_;
};

}  // namespace vl3::capi
