#include "engine/engine_thread.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace vl3 {
namespace {

constexpr double kPatience_s = 0.02;  // without anything to do, while media are processed elsewhere

}  // namespace

EngineThread::EngineThread(Context& context, const Engine& engine, SchedulerOptions options)
    : context_(context), engine_(engine), scheduler_(context, engine, options) {
  thread_ = std::thread([this] { run(); });
}

EngineThread::~EngineThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const Live& live : live_) scheduler_.cancel(live.id);
  }
  wake_.notify_all();
  thread_.join();
}

// With the mutex held: collect() must not look for a request between its two entries.
RequestId EngineThread::keep(RequestId id, Then then) {
  live_.push_back({id, std::move(then)});
  if (stopping_) scheduler_.cancel(id);
  wake_.notify_all();
  return id;
}

RequestId EngineThread::submit(ProcessorRequest request, RequestOptions options, Then then) {
  const std::lock_guard lock(mutex_);
  return keep(scheduler_.submit(std::move(request), std::move(options)), std::move(then));
}

RequestId EngineThread::submit(ForwardInput input, RequestOptions options, Then then) {
  const std::lock_guard lock(mutex_);
  return keep(scheduler_.submit(std::move(input), std::move(options)), std::move(then));
}

bool EngineThread::post(Work work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    work_.push_back(std::move(work));
  }
  wake_.notify_all();
  return true;
}

void EngineThread::after_steps(std::function<void(const SchedulerStats&)> told) {
  const std::lock_guard lock(mutex_);
  after_step_ = std::move(told);
}

void EngineThread::run() {
  for (;;) {
    bool has_requests = false;
    std::function<void(const SchedulerStats&)> told;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !live_.empty() || !work_.empty(); });
      if (stopping_ && live_.empty() && work_.empty()) return;
      has_requests = !live_.empty();
      told = after_step_;
    }
    const bool worked = work_once();
    if (!has_requests) continue;
    const bool stepped = scheduler_.step();
    if (stepped && told) told(scheduler_.stats());
    if (!stepped && !worked) scheduler_.wait_for_work(kPatience_s);
    collect();
  }
}

// The unit that has waited longest; it goes to the end of the line where it asks for another turn.
bool EngineThread::work_once() {
  Work work;
  {
    const std::lock_guard lock(mutex_);
    if (work_.empty()) return false;
    work = std::move(work_.front());
    work_.pop_front();
  }
  if (!work(context_)) return true;
  const std::lock_guard lock(mutex_);
  work_.push_back(std::move(work));
  return true;
}

// Takes what is done.
void EngineThread::collect() {
  std::vector<Live> done;
  {
    const std::lock_guard lock(mutex_);
    const auto ended = std::stable_partition(live_.begin(), live_.end(),
                                             [this](const Live& live) { return !scheduler_.done(live.id); });
    std::move(ended, live_.end(), std::back_inserter(done));
    live_.erase(ended, live_.end());
  }
  for (const Live& live : done) {
    EndedRequest ended;
    ended.status = scheduler_.status(live.id);
    try {
      ended.answers = scheduler_.take(live.id);
    } catch (...) {
      ended.failure = std::current_exception();
    }
    live.then(std::move(ended));
  }
}

}  // namespace vl3
