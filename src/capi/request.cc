#include "capi/request.h"

namespace vl3::capi {

void Request::tell(const StreamEvent& event) {
  Event told;
  told.token = true;
  told.of_token = event;
  told.text = event.text;
  if (event.logprob != nullptr) told.logprob = event.logprob->logprob;
  told.of_token.text = {};
  told.of_token.logprob = nullptr;
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(told));
  }
  news_.notify_all();
}

void Request::tell_progress(std::string_view stage, int64_t done, int64_t total) {
  {
    const std::lock_guard lock(mutex_);
    if (events_.empty() || events_.back().token || events_.back().stage != stage) {
      events_.emplace_back();
      events_.back().stage = stage;
    }
    events_.back().done = done;
    events_.back().total = total;
  }
  news_.notify_all();
}

void Request::finish(std::string result) { end(std::move(result), nullptr); }

void Request::fail(std::exception_ptr reason) { end({}, std::move(reason)); }

void Request::end(std::string result, std::exception_ptr reason) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = true;
    result_ = std::move(result);
    reason_ = std::move(reason);
  }
  news_.notify_all();
}

bool Request::poll(std::chrono::milliseconds timeout, const std::function<bool(const Event&)>& on_event) {
  std::unique_lock lock(mutex_);
  const auto there = [this] { return ended_ || !events_.empty(); };
  if (timeout.count() < 0)
    news_.wait(lock, there);
  else
    news_.wait_for(lock, timeout, there);
  while (!events_.empty()) {
    const Event event = std::move(events_.front());
    events_.pop_front();
    lock.unlock();  // a callback may cancel, and the engine goes on meanwhile
    const bool go_on = !on_event || on_event(event);
    lock.lock();
    if (!go_on) return false;
  }
  if (ended_ && reason_) std::rethrow_exception(reason_);
  return ended_;
}

std::optional<std::string> Request::result() const {
  const std::lock_guard lock(mutex_);
  if (ended_ && reason_) std::rethrow_exception(reason_);
  return ended_ ? std::optional(result_) : std::nullopt;
}

}  // namespace vl3::capi
