#pragma once
// A scheduler and the thread that steps it: what stands behind a handle of the C interface and behind a
// server. Requests are given by any thread, and told when they have ended.

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "vl3/context.h"
#include "vl3/engine.h"
#include "vl3/scheduler.h"

namespace vl3 {

// How a request ended.
struct EndedRequest {
  RequestStatus status;
  Answers answers;             // where there is no failure
  std::exception_ptr failure;  // what Scheduler::take threw
};

// Thread-safe but for the destructor. The context belongs to the thread meanwhile; context and engine outlive
// this.
class EngineThread {
 public:
  // Told on the engine's thread, once, for every request that was taken; must not throw.
  using Then = std::function<void(EndedRequest)>;
  // A unit of other work with the model: true asks for another turn. Must not throw.
  using Work = std::function<bool(Context&)>;

  EngineThread(Context& context, const Engine& engine, SchedulerOptions options = {});
  ~EngineThread();  // cancels what is under way or waits, and ends when all of it was told
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  // Throw what Scheduler::submit throws; `then` is not called in that case. Where options have no probe, the
  // scheduler's rules for it hold; a probe must live until `then` has returned.
  RequestId submit(ProcessorRequest request, RequestOptions options, Then then);
  RequestId submit(ForwardInput input, RequestOptions options, Then then);
  void cancel(RequestId id) noexcept { scheduler_.cancel(id); }  // within a step of the model

  // Units of work take turns with the scheduler's steps. False: this is ending, and takes no more.
  bool post(Work work);
  // Called on the engine's thread after every step that did something. Before the first submit.
  void after_steps(std::function<void(const SchedulerStats&)> told);

  const Scheduler& scheduler() const noexcept { return scheduler_; }
  const Engine& engine() const noexcept { return engine_; }

 private:
  struct Live {
    RequestId id = 0;
    Then then;
  };
  void run();
  bool work_once();
  void collect();
  RequestId keep(RequestId id, Then then);

  Context& context_;
  const Engine& engine_;
  Scheduler scheduler_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Live> live_;  // given to the scheduler and not taken back
  std::deque<Work> work_;
  std::function<void(const SchedulerStats&)> after_step_;
  bool stopping_ = false;
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace vl3
