#pragma once
// The one generation loop: brings prompts through the model in chunks and answers them, all of them in common
// steps. It knows nothing of media, threads and clocks; engine/scheduler.cc does.

#include <exception>
#include <map>
#include <memory>
#include <vector>

#include "generate/prefix_tree.h"
#include "generate/task.h"
#include "generate/turns.h"

namespace vl3 {

struct LoopOptions {
  int64_t step_tokens = 2048;   // rows of a step, decoding first; tokens of running sequences always go
  int64_t chunk_tokens = 2048;  // prompt rows of a step in which sequences of other requests decode
  int64_t max_running = 0;      // requests that have a cache; 0: no limit
  int64_t max_blocks = 0;       // of keys and values; 0: no limit
  PrefixTree* prefixes = nullptr;
};

// One prompt and what is wanted of it. Prompts of one request have one rank; none decodes before all of them
// that are being prefilled have their first token.
struct Job {
  Prompt prompt;
  TaskSetup setup;
  Rank rank;
};

enum class JobPhase : uint8_t { kWaiting, kPrefilling, kDecoding, kDone };

struct JobStatus {
  JobPhase phase = JobPhase::kWaiting;
  bool begun = false;   // has had its first token
  bool failed = false;  // take() throws
  int64_t prompt_tokens = 0, prefilled_tokens = 0, cached_tokens = 0, new_tokens = 0, preemptions = 0;
};

// Not thread-safe.
class GenerationLoop {
 public:
  GenerationLoop(Context& context, CausalDecoder& decoder, LoopOptions options = {});

  // Jobs may be added, cancelled and taken between steps. Returns its number; events of a step are told in
  // the order of numbers. Throws kInvalidArgument for settings that do not fit the prompt or the vocabulary,
  // kLimitExceeded for what max_blocks could not hold even alone.
  uint64_t add(Job job);
  // One step for every job that can go on, without those whose prompts are not through the model yet where
  // prompts is false; false when none was left. A cancelled context cancels them all.
  // What hooks and settings of a job throw ends that job only, and so does what the model throws, if it
  // throws it for this job's rows alone.
  bool step(bool prompts = true);
  bool done(uint64_t job) const;
  JobStatus status(uint64_t job) const;
  // One that has begun keeps what it has; another fails with kCancelled.
  void cancel(uint64_t job);
  // The results of a job that is done, which is forgotten. Throws what the job threw.
  std::vector<GenerationResult> take(uint64_t job);
  // Throws what the first failed job threw, if one did.
  void check_failures() const;

  int64_t used_blocks() const;
  int64_t steps() const noexcept { return steps_; }

 private:
  struct Slot {
    uint64_t number = 0;
    Prompt prompt;
    Rank rank;
    std::unique_ptr<Task> task;
    JobPhase phase = JobPhase::kWaiting;
    KvCache cache;  // of the prompt, until the task takes it
    int64_t cached_tokens = 0, preemptions = 0;
    std::exception_ptr failure;
  };
  // The feeds [begin, end) of a slot in a step, and its rows of logits.
  struct Part {
    Slot* slot = nullptr;
    size_t begin = 0, end = 0;
    LogitRows logits;
    bool last_chunk = false;  // of a prompt that has not begun: its logits make the first tokens
  };
  using Feeds = std::vector<CausalDecoder::Feed>;

  // What is left of a request's prompts.
  struct Unfed {
    int priority = 0;
    int64_t rows = 0;
    uint64_t arrival = 0;
    std::vector<Slot*> slots;
  };

  void admit();
  bool may_run(const Slot& slot) const;
  bool waits_for_prefix(const Slot& slot) const;
  void start(Slot& slot);
  void make_room();
  void preempt(Slot& slot);
  void collect_decoding(Feeds& feeds, std::vector<Part>& parts, int64_t& rows);
  std::vector<Unfed> unfed_prompts();
  void collect_prompts(Feeds& feeds, std::vector<Part>& parts, int64_t rows);
  static int64_t chunk_of(const Slot& slot, int64_t rows);
  void add_chunk(Slot& slot, int64_t rows, Feeds& feeds, std::vector<Part>& parts);
  void run(const Feeds& feeds, std::vector<Part>& parts);
  void choose_tokens(std::vector<Part>& parts);
  void run_choices(const std::vector<ChoiceWork>& work);
  void prefilled(Slot& slot);
  void retire(Slot& slot);
  void fail(Slot& slot, std::exception_ptr failure);
  void cancel(Slot& slot, const std::exception_ptr& reason);
  int64_t blocks_to_start(const Slot& slot) const;
  CacheKind kind_of(const Slot& slot, const KvCache& cache) const;
  bool preempt_lowest();
  const Slot& slot(uint64_t job) const;

  Context& context_;
  CausalDecoder& decoder_;
  LoopOptions options_;
  std::map<uint64_t, Slot> slots_;
  uint64_t next_ = 1;
  Turns turns_;
  std::vector<std::vector<float>> scratch_;  // of each thread
  int64_t steps_ = 0;
};

// The task that settings ask for.
std::unique_ptr<Task> make_task(TaskSetup setup, const Prompt& prompt);

}  // namespace vl3
