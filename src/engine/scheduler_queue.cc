// Scheduler: what any thread may ask, and the threads that process.

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "engine/input_encoder.h"
#include "engine/scheduler_impl.h"
#include "model/model_parts.h"
#include "vl3/context_exceeded.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr int64_t kMost = int64_t{1} << 30;

void check(const SchedulerOptions& options) {
  const auto positive = [](const char* name, int64_t value) {
    require(value > 0 && value <= kMost, ErrorCode::kInvalidArgument,
            "[scheduler] {} is {}, it should be from 1 to {}", name, value, kMost);
  };
  positive("step_tokens", options.step_tokens);
  positive("chunk_tokens", options.chunk_tokens);
  positive("encode_patches", options.encode_patches);
  positive("max_processed", options.max_processed);
  const auto not_negative = [](const char* name, int64_t value) {
    require(value >= 0, ErrorCode::kInvalidArgument, "[scheduler] {} is {}, it should not be below 0", name,
            value);
  };
  not_negative("max_processed_bytes", options.max_processed_bytes);
  not_negative("max_queued", options.max_queued);
  not_negative("max_running", options.max_running);
  not_negative("kv_cache_bytes", options.kv_cache_bytes);
  not_negative("threads_per_request", options.threads_per_request);
  constexpr int kMostThreads = 1024;
  require(options.processing_threads >= 0 && options.processing_threads <= kMostThreads,
          ErrorCode::kInvalidArgument, "[scheduler] processing_threads is {}, it should be from 0 to {}",
          options.processing_threads, kMostThreads);
}

// Of all caches. What the prefix tree holds goes when it runs full. Without a budget it is that of all such
// schedulers of the engine, answers one by one among them.
std::shared_ptr<KvPool> make_pool(const SchedulerOptions& options, const Context& context,
                                  const ForConditionalGeneration& model,
                                  const std::shared_ptr<PrefixTree>& prefixes) {
  check(options);
  std::shared_ptr<KvPool> pool = new_pool(model, context, options.kv_cache_bytes);
  if (prefixes == nullptr) return pool;
  if (options.kv_cache_bytes == 0) return prefixes->common_pool(std::move(pool), context.device());
  reclaim_from(*pool, prefixes);
  return pool;
}

// 0: no limit.
int64_t max_blocks(const KvPool& pool) {
  return pool.max_blocks() == KvPool::kNoLimit ? 0 : pool.max_blocks();
}

LoopOptions loop_options(const SchedulerOptions& options, const KvPool& pool, PrefixTree* prefixes) {
  LoopOptions loop;
  loop.step_tokens = options.step_tokens;
  loop.chunk_tokens = options.chunk_tokens;
  loop.max_running = options.max_running;
  loop.max_blocks = max_blocks(pool);
  loop.prefixes = prefixes;
  return loop;
}

std::chrono::duration<double> at_most_a_day(double seconds) {
  return std::chrono::duration<double>(std::clamp(seconds, 0.0, 86400.0));
}

}  // namespace

bool ScheduledRequest::late() const { return deadline_at_s && now_s() >= *deadline_at_s; }

Scheduler::Impl::Impl(Context& context, const Engine& engine, FeatureCache* features,
                      const std::shared_ptr<PrefixTree>& prefixes, const AdapterSet* adapters,
                      SchedulerOptions options)
    : context_(context),
      engine_(engine),
      features_(features),
      options_(std::move(options)),
      group_patches_(std::min(options_.encode_patches, FrameEncoder::kPatchesAtOnce)),
      decoding_threads_(options_.threads_per_request > 0 ? options_.threads_per_request
                                                         : context.threads().size()),
      num_adapters_(adapters == nullptr ? 0 : adapters->size()),
      pool_(make_pool(options_, context, engine.model(), prefixes)),
      decoder_(engine.model(), pool_, adapters),
      loop_(context, decoder_, loop_options(options_, *pool_, prefixes.get())) {
  totals_.max_cache_blocks = max_blocks(*pool_);
  try {
    for (int i = 0; i < options_.processing_threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (...) {  // the system gives no more of them
    stop();
    throw;
  }
}

Scheduler::Impl::~Impl() { stop(); }

void Scheduler::Impl::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    for (const auto& [id, request] : requests_) request->cancelled = true;
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

RequestId Scheduler::Impl::submit(std::optional<ProcessorRequest> request, ForwardInput input,
                                  RequestOptions options) {
  options.generation.validate();
  require(!options.deadline_s || *options.deadline_s > 0, ErrorCode::kInvalidArgument,
          "[scheduler] deadline_s is {}, it should be above 0", options.deadline_s.value_or(0));
  require(options.adapter >= -1 && options.adapter < num_adapters_, ErrorCode::kInvalidArgument,
          "[scheduler] there is no adapter {}: the engine has {}, and -1 is none", options.adapter,
          num_adapters_);
  require(!request || !request->conversations.empty(), ErrorCode::kInvalidArgument,
          "[scheduler] a request without a conversation");
  auto made = std::make_shared<ScheduledRequest>();
  made->ready = !request;
  made->request = std::move(request);
  made->started_s = now_s();
  if (options.deadline_s) made->deadline_at_s = made->started_s + std::min(*options.deadline_s, 1e9);
  made->options = std::move(options);
  if (made->ready) {
    input.past = nullptr;
    input.probe = nullptr;
    input.labels = Tensor();
    made->encoding = std::make_unique<InputEncoder>(engine_.model(), std::move(input), made->options.probe);
  }
  const std::lock_guard lock(mutex_);
  const auto open = std::count_if(requests_.begin(), requests_.end(), [](const auto& entry) {
    return entry.second->status.state != RequestState::kDone;
  });
  require(options_.max_queued == 0 || open < options_.max_queued, ErrorCode::kLimitExceeded,
          "[scheduler] {} requests are not done, which is the limit (max_queued): try again later", open);
  made->id = next_id_++;
  if (made->ready) made->status.state = RequestState::kEncoding;
  made->rank = {made->options.priority, made->options.client, made->id};
  requests_.emplace(made->id, made);
  changed_.notify_all();
  return made->id;
}

void Scheduler::Impl::cancel(RequestId id) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  found->second->cancelled = true;
  changed_.notify_all();
}

Scheduler::Impl::Request Scheduler::Impl::find(RequestId id) const {
  const auto found = requests_.find(id);
  require(found != requests_.end(), ErrorCode::kNotFound, "[scheduler] there is no request {}", id);
  return found->second;
}

RequestStatus Scheduler::Impl::status(RequestId id) const {
  const std::lock_guard lock(mutex_);
  const Request request = find(id);
  RequestStatus status = request->status;
  if (status.state > RequestState::kEncoding) return status;
  for (const auto& [other, entry] : requests_) {
    if (entry->status.state <= RequestState::kEncoding && outranks(entry->rank, request->rank))
      ++status.ahead;
  }
  return status;
}

bool Scheduler::Impl::done(RequestId id) const {
  const std::lock_guard lock(mutex_);
  return find(id)->status.state == RequestState::kDone;
}

bool Scheduler::Impl::wait(RequestId id, double seconds) const {
  std::unique_lock lock(mutex_);
  const Request request = find(id);
  return changed_.wait_for(lock, at_most_a_day(seconds),
                           [&] { return request->status.state == RequestState::kDone; });
}

Answers Scheduler::Impl::take(RequestId id) {
  const std::lock_guard lock(mutex_);
  const Request request = find(id);
  require(request->status.state == RequestState::kDone, ErrorCode::kInvalidArgument,
          "[scheduler] request {} is not done: it is {}", id, to_string(request->status.state));
  requests_.erase(id);
  if (request->failure) std::rethrow_exception(request->failure);
  return std::move(request->answers);
}

SchedulerStats Scheduler::Impl::stats() const {
  const std::lock_guard lock(mutex_);
  SchedulerStats stats = totals_;
  for (const auto& [id, request] : requests_) {
    switch (request->status.state) {
      case RequestState::kQueued:
        ++stats.queued;
        break;
      case RequestState::kProcessing:
        ++stats.processing;
        break;
      case RequestState::kEncoding:
        ++stats.encoding;
        break;
      case RequestState::kPrefilling:
        ++stats.prefilling;
        break;
      case RequestState::kDecoding:
        ++stats.decoding;
        break;
      case RequestState::kDone:
        break;
    }
  }
  return stats;
}

bool Scheduler::Impl::has_work() const {
  return std::any_of(requests_.begin(), requests_.end(), [this](const auto& entry) {
    const ScheduledRequest& request = *entry.second;
    switch (request.status.state) {
      case RequestState::kQueued:
        return processes_here() || request.cancelled || request.late() || context_.cancelled();
      case RequestState::kProcessing:
      case RequestState::kDone:
        return false;
      case RequestState::kEncoding:
        return !request.begun || request.cancelled || request.late() || context_.cancelled() ||
               request.encoding->ready();
      default:
        return true;
    }
  });
}

bool Scheduler::Impl::wait_for_work(double seconds, RequestId or_done) {
  const double until = now_s() + at_most_a_day(seconds).count();
  std::unique_lock lock(mutex_);
  while (!has_work()) {
    const auto awaited = requests_.find(or_done);
    if (awaited != requests_.end() && awaited->second->status.state == RequestState::kDone) return false;
    const double now = now_s();
    if (now >= until) return false;
    double next = until;
    for (const auto& [id, request] : requests_) {
      const RequestState state = request->status.state;
      const bool waits = state == RequestState::kQueued || state == RequestState::kEncoding;
      if (waits && request->deadline_at_s) next = std::min(next, *request->deadline_at_s);
    }
    changed_.wait_for(lock, at_most_a_day(next - now));
  }
  return true;
}

Scheduler::Impl::Request Scheduler::Impl::next_to_process() {
  std::vector<Request> waiting;
  std::vector<Rank> ranks;
  int64_t ahead = 0;
  for (const auto& [id, request] : requests_) {
    const RequestState state = request->status.state;
    const bool waits = state == RequestState::kProcessing || state == RequestState::kEncoding;
    ahead += waits && !request->ready ? 1 : 0;
    if (state != RequestState::kQueued || request->cancelled || request->late()) continue;
    waiting.push_back(request);
    ranks.push_back(request->rank);
  }
  if (waiting.empty() || ahead >= options_.max_processed) return nullptr;
  const size_t next = processing_turns_.next(ranks);
  processing_turns_.served(ranks[next]);
  waiting[next]->status.state = RequestState::kProcessing;
  return waiting[next];
}

void Scheduler::Impl::work() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (const Request request = next_to_process()) {
      lock.unlock();
      process(*request);
      lock.lock();
    } else {
      changed_.wait(lock);
    }
  }
}

void Scheduler::Impl::process(ScheduledRequest& request) {
  try {
    open_media(request);
    const std::lock_guard lock(mutex_);
    request.status.state = RequestState::kEncoding;
    changed_.notify_all();
  } catch (...) {
    fail(request, std::current_exception());
  }
}

// Pixels of several requests are there together only up to the limit; inline there is nobody who would let go
// of any meanwhile.
void Scheduler::Impl::hold_bytes(ScheduledRequest& request, int64_t bytes) {
  const auto may_go_on = [&] {
    return processes_here() || held_bytes_ == 0 || held_bytes_ + bytes <= options_.max_processed_bytes ||
           stop_ || request.cancelled || request.late() || context_.cancelled() || bytes == 0;
  };
  constexpr std::chrono::milliseconds kGlance{50};  // nobody tells that a deadline has passed
  std::unique_lock lock(mutex_);
  while (!may_go_on()) changed_.wait_for(lock, kGlance);
  request.held_bytes = bytes;
  held_bytes_ += bytes;
}

ProcessHooks Scheduler::Impl::decoding_hooks(ScheduledRequest& request) {
  ProcessHooks hooks;
  hooks.cancelled = [this, &request] { return request.cancelled || request.late() || context_.cancelled(); };
  hooks.decoded = [this, &request](int64_t done, int64_t total) {
    {
      const std::lock_guard lock(mutex_);
      request.status.frames_decoded = done;
      request.status.frames = total;
    }
    const Probe* probe = request.options.probe;
    if (probe != nullptr && probe->progress) probe->progress("decode", done, total);
  };
  hooks.available = [this] {
    const std::lock_guard lock(mutex_);  // whoever waits has looked before, or is waiting
    changed_.notify_all();
  };
  return hooks;
}

void Scheduler::Impl::open_media(ScheduledRequest& request) {
  OpenMedia opened;
  GenerationConfig planned = request.options.generation;
  if (request.options.cut_to_context) planned.max_new_tokens = 1;
  const Plan plan = engine_.plan(&context_, *request.request, planned, &opened, false);
  if (plan.min_prompt_tokens + plan.new_tokens > plan.context_tokens)
    throw ContextExceeded(plan.min_prompt_tokens, plan.new_tokens, plan.context_tokens,
                          "[plan] " + plan.rejection_reason());
  if (request.options.cut_to_context && plan.min_prompt_tokens + 1 > context_tokens())
    throw ContextExceeded(plan.min_prompt_tokens, 1, context_tokens());
  const std::string reason = plan.rejection_reason();
  require(reason.empty(), ErrorCode::kLimitExceeded, "[plan] {}", reason);
  hold_bytes(request, plan.pixel_bytes);
  request.started_s = now_s();
  ProcessHooks hooks = decoding_hooks(request);
  hooks.opened = &opened;
  require(!hooks.cancelled(), ErrorCode::kCancelled, "[scheduler] cancelled");
  request.encoding = std::make_unique<RequestEncoder>(
      engine_.model(),
      engine_.processor().stream(std::move(*request.request), engine_.options().limits, hooks,
                                 decoding_threads_, group_patches_),
      features_, engine_.options().reuse_static_frames, request.options.probe, request.options.cache_salt);
  request.request.reset();
  require(!hooks.cancelled(), ErrorCode::kCancelled, "[scheduler] cancelled");
}

GenerationHooks Scheduler::Impl::hooks_for(ScheduledRequest& request) {
  GenerationHooks hooks = text_hooks(engine_.processor().tokenizer());
  const GenerationHooks& own = request.options.hooks;
  if (own.make_text) hooks.make_text = own.make_text;
  if (own.special_token) hooks.special_token = own.special_token;
  hooks.allowed = own.allowed;
  hooks.bend_scores = own.bend_scores;
  hooks.ends = own.ends;
  hooks.on_scores = own.on_scores;
  // A prompt's progress is told before its first token. Beams tell theirs at the end, when all else is told.
  const bool beams = request.options.generation.num_beams > 1;
  hooks.on_token = [this, &request, beams, outer = own.on_token](const StreamEvent& event) {
    if (event.index == 0 && !beams) update(request);
    double& first = request.answers.timings.first_token_s;
    if (first == 0) first = now_s() - request.started_s;
    return !outer || outer(event);
  };
  return hooks;
}

}  // namespace vl3
