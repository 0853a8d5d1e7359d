#include "vl3/scheduler.h"

#include <utility>

#include "engine/scheduler_impl.h"

namespace vl3 {

const char* to_string(RequestState state) noexcept {
  switch (state) {
    case RequestState::kQueued:
      return "queued";
    case RequestState::kProcessing:
      return "processing";
    case RequestState::kEncoding:
      return "encoding";
    case RequestState::kPrefilling:
      return "prefilling";
    case RequestState::kDecoding:
      return "decoding";
    case RequestState::kDone:
      return "done";
  }
  return "unknown";
}

const char* to_string(RequestOutcome outcome) noexcept {
  switch (outcome) {
    case RequestOutcome::kPending:
      return "pending";
    case RequestOutcome::kFinished:
      return "finished";
    case RequestOutcome::kCancelled:
      return "cancelled";
    case RequestOutcome::kDeadline:
      return "deadline";
    case RequestOutcome::kFailed:
      return "failed";
  }
  return "unknown";
}

Scheduler::Scheduler(Context& context, const Engine& engine, SchedulerOptions options)
    : impl_(std::make_unique<Impl>(context, engine, engine.features_.get(), engine.prefixes_,
                                   engine.adapters_.get(), std::move(options))) {}
Scheduler::~Scheduler() = default;

RequestId Scheduler::submit(ProcessorRequest request, RequestOptions options) {
  return impl_->submit(std::move(request), {}, std::move(options));
}
RequestId Scheduler::submit(ForwardInput input, RequestOptions options) {
  return impl_->submit(std::nullopt, std::move(input), std::move(options));
}
bool Scheduler::step() { return impl_->step(); }
bool Scheduler::wait_for_work(double seconds) { return impl_->wait_for_work(seconds); }
void Scheduler::run(RequestId id) {
  constexpr double kLongest_s = 1;
  while (!done(id)) {
    if (!step()) impl_->wait_for_work(kLongest_s, id);
  }
}
void Scheduler::cancel(RequestId id) noexcept { impl_->cancel(id); }
RequestStatus Scheduler::status(RequestId id) const { return impl_->status(id); }
bool Scheduler::done(RequestId id) const { return impl_->done(id); }
bool Scheduler::wait(RequestId id, double seconds) const { return impl_->wait(id, seconds); }
Answers Scheduler::take(RequestId id) { return impl_->take(id); }
SchedulerStats Scheduler::stats() const { return impl_->stats(); }
int64_t Scheduler::context_tokens() const { return impl_->context_tokens(); }

}  // namespace vl3
