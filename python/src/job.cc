#include "job.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace vl3::python {

Mailbox::~Mailbox() { release_descriptor(); }

void Mailbox::release_descriptor() noexcept {
  const std::lock_guard lock(mutex_);
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void Mailbox::post(uint64_t job) {
  {
    const std::lock_guard lock(mutex_);
    if (std::find(jobs_.begin(), jobs_.end(), job) == jobs_.end()) jobs_.push_back(job);
    // A counter that is full is readable, which is all that is wanted.
    if (descriptor_ >= 0) (void)::eventfd_write(descriptor_, 1);
  }
  came_.notify_all();
}

std::vector<uint64_t> Mailbox::take() {
  const std::lock_guard lock(mutex_);
  if (descriptor_ >= 0) {
    eventfd_t count = 0;
    (void)::eventfd_read(descriptor_, &count);
  }
  return std::exchange(jobs_, {});
}

bool Mailbox::wait(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  return came_.wait_for(lock, most, [this] { return !jobs_.empty(); });
}

int Mailbox::descriptor() {
  const std::lock_guard lock(mutex_);
  if (descriptor_ < 0) {
    descriptor_ = ::eventfd(jobs_.empty() ? 0 : 1, EFD_CLOEXEC | EFD_NONBLOCK);
    require(descriptor_ >= 0, ErrorCode::kIo, "[llm] no descriptor for a loop of asyncio: {}",
            std::generic_category().message(errno));
  }
  return descriptor_;
}

Job::Job(uint64_t number, std::shared_ptr<Mailbox> box, bool wants_events)
    : number_(number), box_(std::move(box)), wants_events_(wants_events) {}

void Job::push(const StreamEvent& event) {
  JobEvent kept;
  kept.sequence = event.sequence;
  kept.index = event.index;
  kept.token = event.token;
  kept.text = event.text;
  if (event.logprob != nullptr) kept.logprob = *event.logprob;
  kept.finish_reason = event.finish_reason;
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(kept));
  }
  box_->post(number_);
}

void Job::end(JobOutcome outcome) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    outcome_ = std::move(outcome);
    outcome_.seconds = age_s();
    ended_ = true;
  }
  box_->post(number_);
}

double Job::age_s() const noexcept {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
}

bool Job::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

std::vector<JobEvent> Job::take_events() {
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

JobOutcome Job::take_outcome() {
  const std::lock_guard lock(mutex_);
  return std::exchange(outcome_, {});
}

std::optional<RequestId> Job::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  return request_;
}

bool Job::submitted(RequestId request) {
  const std::lock_guard lock(mutex_);
  request_ = request;
  return cancelled_;
}

std::optional<RequestId> Job::request() const {
  const std::lock_guard lock(mutex_);
  return request_;
}

}  // namespace vl3::python
