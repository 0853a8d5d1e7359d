#pragma once
// A model that many ask at once: an engine, the thread that steps it, and threads that read requests. What is
// asked shares steps, whoever asks. No Python here.

#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "engine/worker_pool.h"
#include "job.h"
#include "vl3/answer_request.h"
#include "vl3/engine.h"
#include "vl3/media_fetch.h"
#include "vl3/structured_output.h"

namespace vl3::python {

struct DeskOptions {
  std::filesystem::path model;
  EngineOptions engine;
  ContextOptions context;
  std::optional<MediaFetchOptions> fetch = MediaFetchOptions();  // none: nothing is fetched
  SchedulerOptions scheduler;  // kv_cache_bytes 0: half of what is free, or of max_memory_bytes
};

// One request.
struct Ask {
  // As parse_answer_request has it, with one conversation; or, where prompt is set, "generate" alone.
  Json request;
  Json structured;  // null: an answer of any form
  std::map<std::string, MediaSource> media;
  std::optional<std::vector<int64_t>> prompt;  // ids to go on with
  std::optional<std::string> text;             // ProcessorRequest::prompt
  std::string client, cache_salt;
  int priority = 0;
  std::optional<double> deadline_s;  // seconds after the asking: being read and fetched counts
  bool cut_to_context = false;
  int64_t adapter = -1;
  bool events = false;  // every token is wanted as it comes
};

// Thread-safe. Requests are read, planned and answered elsewhere: what is wrong with one is told by its
// outcome, and asking takes no longer than handing it over. Asking throws std::runtime_error where this is
// closed, and in the child of a fork, which has none of the threads.
class Desk {
 public:
  // Throws what Engine::open throws. In a fork's child the last owner lets go of nothing.
  static std::shared_ptr<Desk> open(DeskOptions options);
  ~Desk() { close(); }
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  std::shared_ptr<Job> answer(Ask ask, std::shared_ptr<Mailbox> box);
  // Of the ask, request and media count. estimate: with Plan::estimated_s.
  std::shared_ptr<Job> plan(Ask ask, bool estimate, std::shared_ptr<Mailbox> box);
  // The last hidden state of a prompt. media_alone: vectors of the pictures and clips in its place, or of
  // each frame.
  std::shared_ptr<Job> embed(Ask ask, bool media_alone, bool per_frame, std::shared_ptr<Mailbox> box);
  // Within a step of the model. One that has ended stays as it is.
  void cancel(Job& job);
  // Nothing where the job is not in the scheduler yet, or not any more.
  std::optional<RequestStatus> status(const Job& job) const;

  // Ends all that is under way as cancelled, and every thread.
  void close();
  bool closed() const noexcept { return closing_; }
  bool forked() const noexcept;
  void check_open() const;  // throws as asking does

  const Engine& engine() const noexcept { return engine_; }
  SchedulerStats stats() const;

 private:
  explicit Desk(DeskOptions options);
  class Ender;
  struct KeptForm {
    std::string key;
    StructuredOutput form;
  };
  std::shared_ptr<Job> new_job(std::shared_ptr<Mailbox> box, bool events);
  void submit(Ask ask, const std::shared_ptr<Job>& job);
  AnswerRequest read(Ask& ask, const Job& job, int64_t* copies = nullptr);
  StructuredOutput form_of(const Json& structured);
  JobOutcome plan_now(Ask ask, bool estimate, const Job& job);
  JobOutcome embed_now(Ask ask, bool media_alone, bool per_frame, const Job& job);

  Engine engine_;
  Context context_;
  std::atomic<bool> closing_{false};
  std::atomic<uint64_t> next_job_{1};
  std::optional<MediaFetcher> fetcher_;  // none: addresses are refused by the processor
  std::mutex forms_mutex_;
  std::optional<StructuredCompiler> compiler_;  // made by the first request that needs it
  std::list<KeptForm> forms_;                   // the latest first
  mutable std::shared_mutex thread_mutex_;      // exclusively: while thread_ is let go
  // The last members: their threads use the others.
  std::unique_ptr<EngineThread> thread_;
  std::unique_ptr<WorkerPool> readers_, fetchers_, others_;
  const int64_t process_;
};

}  // namespace vl3::python
