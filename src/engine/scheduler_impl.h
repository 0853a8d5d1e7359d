#pragma once
// What a Scheduler is made of. Processing runs on threads of its own, decoding on one of each request's;
// encoding and the generation loop belong to the thread that steps.

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/request_encoder.h"
#include "generate/loop.h"
#include "generate/model_decoder.h"
#include "vl3/scheduler.h"

namespace vl3 {

struct ScheduledRequest {
  RequestId id = 0;
  RequestOptions options;
  Rank rank;
  std::optional<double> deadline_at_s;  // by now_s()
  std::atomic<bool> cancelled = false;  // asked for
  bool ready = false;                   // came as tensors: there is nothing to process

  // Guarded by the scheduler's mutex.
  RequestStatus status;
  int64_t held_bytes = 0;  // of pixels, as planned, from processing to the end of encoding

  // Of the thread that processes, then of the one that steps; of take when it is done.
  std::optional<ProcessorRequest> request;
  double started_s = 0;
  std::vector<uint64_t> jobs;
  Answers answers;
  std::exception_ptr failure;
  bool begun = false;  // with encoding
  // The last member: its decoding thread asks for others until it ends.
  std::unique_ptr<Encoding> encoding;

  bool late() const;
};

class Scheduler::Impl {
 public:
  Impl(Context& context, const Engine& engine, FeatureCache* features,
       const std::shared_ptr<PrefixTree>& prefixes, const AdapterSet* adapters, SchedulerOptions options);
  ~Impl();

  RequestId submit(std::optional<ProcessorRequest> request, ForwardInput input, RequestOptions options);
  bool step();
  // or_done: also until this request is done.
  bool wait_for_work(double seconds, RequestId or_done = 0);
  void cancel(RequestId id) noexcept;
  RequestStatus status(RequestId id) const;
  bool done(RequestId id) const;
  bool wait(RequestId id, double seconds) const;
  Answers take(RequestId id);
  SchedulerStats stats() const;
  int64_t context_tokens() const;

 private:
  using Request = std::shared_ptr<ScheduledRequest>;

  // scheduler_queue.cc
  bool processes_here() const { return options_.processing_threads == 0; }
  void stop();
  void work();
  Request next_to_process();  // with the mutex held; null: none, or too many are ahead
  void process(ScheduledRequest& request);
  void open_media(ScheduledRequest& request);
  void hold_bytes(ScheduledRequest& request, int64_t bytes);
  ProcessHooks decoding_hooks(ScheduledRequest& request);
  GenerationHooks hooks_for(ScheduledRequest& request);

  // scheduler_step.cc
  bool process_here();
  bool end_cut_off();
  void end_all();
  bool begin_encoding();
  void begin_encoding(ScheduledRequest& request);
  bool encode_next(int64_t patches);
  void encode_some(ScheduledRequest& request, int64_t patches);
  void add_jobs(ScheduledRequest& request);
  int64_t cache_tokens(int64_t sequences) const;
  int64_t new_tokens_in_context(const GenerationConfig& settings, int64_t prompt_tokens) const;
  bool step_loop(bool with_prompts);
  void update(ScheduledRequest& request);
  void collect(ScheduledRequest& request);
  std::exception_ptr take_results(ScheduledRequest& request);
  void cut_off(ScheduledRequest& request, RequestOutcome outcome, const std::exception_ptr& reason);
  // What was thrown in the request's name ends it: kFailed, or what made it throw.
  void fail(ScheduledRequest& request, const std::exception_ptr& failure);
  void finish(ScheduledRequest& request, RequestOutcome outcome);
  std::vector<Request> requests_in(std::initializer_list<RequestState> states) const;

  Request find(RequestId id) const;  // with the mutex held
  bool has_work() const;             // likewise, on the thread that steps

  Context& context_;
  const Engine& engine_;
  FeatureCache* const features_;
  const SchedulerOptions options_;
  const int64_t group_patches_;  // of the frames that are decoded together
  const int decoding_threads_;   // of a request
  const int64_t num_adapters_;
  const std::shared_ptr<KvPool> pool_;
  ModelDecoder decoder_;
  GenerationLoop loop_;
  bool encode_turn_ = true;  // encoder and prompts take turns where sequences decode

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<RequestId, Request> requests_;
  RequestId next_id_ = 1;
  Turns processing_turns_;
  int64_t held_bytes_ = 0;
  SchedulerStats totals_;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace vl3
