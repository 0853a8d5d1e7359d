#pragma once
// What an LLM was asked for, and who waits for it. No Python here: the engine's thread tells jobs of their
// end without the interpreter's lock.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine_thread.h"
#include "vl3/json.h"

namespace vl3::python {

// Numbers of jobs that have news, for one asker: a call that waits, or a loop of asyncio, which looks at its
// descriptor. Thread-safe.
class Mailbox {
 public:
  Mailbox() = default;
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  void post(uint64_t job);
  // What has come, each number once; empties it.
  std::vector<uint64_t> take();
  // Until something is there (true), or so long.
  bool wait(std::chrono::milliseconds most);
  // Readable while something is there. Made by the first call, and by the first after its release. Throws kIo
  // where the system has none.
  int descriptor();
  void release_descriptor() noexcept;

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<uint64_t> jobs_;
  int descriptor_ = -1;
};

// A token of an answer, kept until it is asked for.
struct JobEvent {
  int64_t sequence = 0, index = 0, token = 0;
  std::string text;
  std::optional<TokenLogprob> logprob;
  std::optional<FinishReason> finish_reason;
};

// A vector that stands for a prompt, a picture, a clip or one of its frames.
struct JobVector {
  std::vector<float> values;
  int64_t media = -1;  // which of the pictures, or of the clips; -1: the prompt
  bool clip = false;
  int64_t tokens = 0;
  std::optional<int64_t> frame;  // of a clip, with its seconds
  double timestamp = 0;
};

// What came of a job; the one that its kind has.
struct JobOutcome {
  std::exception_ptr failure;
  EndedRequest answer;
  Json plan;
  std::vector<JobVector> vectors;
  double seconds = 0;  // from the asking to the end
};

// Thread-safe. Ended once.
class Job {
 public:
  Job(uint64_t number, std::shared_ptr<Mailbox> box, bool wants_events);

  uint64_t number() const noexcept { return number_; }
  bool wants_events() const noexcept { return wants_events_; }

  // Of the side that works. The last one counts as the end where none came before: a job whose work was
  // dropped ends as cancelled.
  void push(const StreamEvent& event);
  void end(JobOutcome outcome);

  // Of the side that asks.
  bool ended() const;
  std::vector<JobEvent> take_events();
  // Of a job that has ended, once; later ones are empty.
  JobOutcome take_outcome();

  // Whether it was cancelled; work looks at this where it can.
  bool cancelled() const noexcept { return cancelled_; }
  // Sets it, and says which request of the scheduler is to be cancelled, where there is one.
  std::optional<RequestId> cancel();
  // The request was given to the scheduler. True: it was cancelled before.
  bool submitted(RequestId request);
  std::optional<RequestId> request() const;

  double age_s() const noexcept;  // seconds since it was asked for
  // Whether its deadline has passed.
  bool late() const noexcept { return deadline_s && age_s() >= *deadline_s; }

  int64_t copies = 1;                // of its only answer: what n greedy ones are; set before it is submitted
  std::optional<double> deadline_s;  // of its age; set before its work begins

 private:
  const uint64_t number_;
  const std::shared_ptr<Mailbox> box_;
  const bool wants_events_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::atomic<bool> cancelled_{false};
  mutable std::mutex mutex_;
  bool ended_ = false;
  std::optional<RequestId> request_;
  std::vector<JobEvent> events_;
  JobOutcome outcome_;
};

}  // namespace vl3::python
