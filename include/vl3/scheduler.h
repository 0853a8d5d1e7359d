#pragma once
// Many requests, one model: every step reads the weights once for all that is under way. docs/scheduler.md
// says how steps are made up and what is guaranteed. Engine::answer is submit, step and take of one request.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "vl3/engine.h"
#include "vl3/error.h"
#include "vl3/export.h"
#include "vl3/generation.h"
#include "vl3/model.h"
#include "vl3/processor.h"

namespace vl3 {

// Names a request of one scheduler; numbers rise in the order of submit.
using RequestId = uint64_t;

// kQueued: nothing was done yet. kProcessing: headers are read and planned, media get the keys under which
// encoded ones are kept, and text alone becomes ids. kEncoding: its pictures and clips are decoded, a few
// groups of frames ahead of the vision encoder, through which they go a group at a time, or wait for their
// turn. kPrefilling: its prompts go through the language model in chunks, or wait for cache memory.
// kDecoding: all of its prompts have their first token. kDone: there is an outcome.
enum class RequestState : uint8_t { kQueued, kProcessing, kEncoding, kPrefilling, kDecoding, kDone };
VL3_API const char* to_string(RequestState state) noexcept;  // "queued", "processing", …

// How a request ended. kFinished: every sequence has a finish reason of its own (one whose on_token said
// false has kCancelled). kCancelled, kDeadline: cut off; take() gives what there was. kFailed: take() throws.
enum class RequestOutcome : uint8_t { kPending, kFinished, kCancelled, kDeadline, kFailed };
VL3_API const char* to_string(RequestOutcome outcome) noexcept;  // "pending", "finished", …

struct RequestOptions {
  GenerationConfig generation;
  // make_text and special_token are those of the engine's tokenizer where they are empty. Called on the
  // thread that steps, one at a time, without any lock: they may call submit, cancel and status.
  GenerationHooks hooks;
  // Whose request it is. Of equal priority, clients are served in turn, however many requests each has.
  std::string client;
  int priority = 0;                  // a higher one goes first at every stage, and is preempted last
  std::optional<double> deadline_s;  // seconds after submit; must be above 0
  // What the engine's caches keep of a request serves requests of the same salt alone: how long an answer
  // took tells nobody what others have asked.
  std::string cache_salt;
  // The answer ends where the context (or all of kv_cache_bytes) does. Otherwise a request that wants more
  // new tokens than there is room for is refused; one whose prompt leaves none is refused either way.
  bool cut_to_context = false;
  // Which of EngineOptions::request_adapters answers; -1: the engine as it was opened.
  int64_t adapter = -1;
  // Progress in "decode" (frames), "encode" (patches) and "prefill" (tokens), told on the thread that steps.
  // May be null, must outlive the request.
  const Probe* probe = nullptr;
};

// How far a request is. Totals are 0 until they are known.
struct RequestStatus {
  RequestState state = RequestState::kQueued;
  RequestOutcome outcome = RequestOutcome::kPending;
  std::optional<ErrorCode> error;  // of kFailed; kInternal for what is no vl3::Error
  std::string message;             // of kFailed and kDeadline: what happened
  int64_t ahead = 0;               // requests that wait before it, in the states up to kEncoding
  int64_t frames_decoded = 0, frames = 0;
  int64_t patches_encoded = 0, patches = 0;
  int64_t tokens_prefilled = 0, prompt_tokens = 0;  // of all prompts
  int64_t cached_tokens = 0;                        // of prompt_tokens, taken from the prefix cache
  int64_t new_tokens = 0;                           // of all sequences
  int64_t preemptions = 0;                          // how often its cache had to be given up
};

struct SchedulerOptions {
  // Rows of the language model in one step: first a token of every running sequence (and its draft), then
  // chunks of prompts. Tokens of running sequences are never left out.
  int64_t step_tokens = 2048;
  // At most so many prompt rows in a step that has running sequences: what a running answer waits for between
  // two tokens.
  int64_t chunk_tokens = 128;
  // Likewise, patches that are encoded in such a step, whole frames, one at least: about as much work as a
  // chunk. Clips are decoded in groups of frames with so many, VisualStream::kGroupPatches at most.
  int64_t encode_patches = 512;
  // Threads on which requests are opened, planned and looked up, one request each. 0: step() does it itself.
  // Media are decoded on a thread of each request's own either way.
  int processing_threads = 1;
  int threads_per_request = 0;  // that a request decodes and resizes with; 0: as many as the context has
  // Requests whose media are open: being processed, decoded or encoded. Each is ahead of the encoder by
  // VisualStream::kAhead groups of frames at most, and the one that is being made.
  int64_t max_processed = 8;
  // Bytes of pixels and patches that these requests have in memory at once, as their plans say
  // (Plan::pixel_bytes). A single request may have more; with processing_threads 0 nothing is held back.
  int64_t max_processed_bytes = int64_t{1} << 30;
  int64_t max_queued = 0;      // requests that are not done; more are refused. 0: no limit
  int64_t max_running = 256;   // requests that are prefilling or decoding
  int64_t kv_cache_bytes = 0;  // keys and values of all requests; 0: no limit
};

struct SchedulerStats {
  int64_t queued = 0, processing = 0, encoding = 0, prefilling = 0, decoding = 0;  // requests
  int64_t finished = 0, cancelled = 0, failed = 0;  // since the beginning; kDeadline counts as cancelled
  int64_t steps = 0, prompt_tokens = 0, cached_tokens = 0, new_tokens = 0, preemptions = 0;
  int64_t cache_blocks = 0, max_cache_blocks = 0;  // of keys and values; max 0: no limit
};

// Thread-safe but for step, run and wait_for_work, which belong to one thread at a time: the one that the
// context belongs to meanwhile. Context and engine must outlive the scheduler. Its destructor stops what is
// being processed and ends what is not done; it must not run during a call.
class VL3_API Scheduler {
 public:
  Scheduler(Context& context, const Engine& engine, SchedulerOptions options = {});
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Each conversation of a request, and each sequence of a batch, is a prompt; all have one outcome. Throws
  // kInvalidArgument for options that are out of range or exclude each other, kLimitExceeded when max_queued
  // requests are not done. Everything else that is wrong with a request is told by take().
  RequestId submit(ProcessorRequest request, RequestOptions options);
  // Tensors that are ready to be encoded: ids or embeddings, pixels or features, mask; caches, labels and
  // logits_to_keep are not looked at, and neither is its probe. The cache of features is not asked.
  RequestId submit(ForwardInput input, RequestOptions options);

  // Some frames of one picture or clip through the encoder, and one step of the language model. What a
  // request's media, hooks or settings throw ends that request alone, and so does what the model throws
  // where it can be told whose rows made it do so. A cancelled context cancels all requests. False: there was
  // nothing to do here, because all are done, or are processed or decoded on other threads: it does not wait.
  bool step();
  // Until step() has something to do (true) or so many seconds have passed.
  bool wait_for_work(double seconds);
  // Steps until the request is done.
  void run(RequestId id);

  // Ends a request within a step; one that is done, or unknown, stays as it is.
  void cancel(RequestId id) noexcept;
  // Throws kNotFound for an id that was never given or was taken.
  RequestStatus status(RequestId id) const;
  bool done(RequestId id) const;
  // Until the request is done (true) or so many seconds have passed, while another thread steps.
  bool wait(RequestId id, double seconds) const;
  // The answers of a request that is done, which is forgotten then. Throws kNotFound as status, and
  // kInvalidArgument for a request that is not done; what made it fail; kCancelled for one that was cut off
  // before all of its prompts had a token. Cut off later, its sequences have what they got until then.
  Answers take(RequestId id);

  SchedulerStats stats() const;
  // That a prompt with its answer may have: the model's context, or less where kv_cache_bytes holds less.
  int64_t context_tokens() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vl3
