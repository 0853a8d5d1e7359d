// Scheduler: what the thread that steps does.

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "engine/scheduler_impl.h"
#include "generate/generate.h"
#include "vl3/context_exceeded.h"

namespace vl3 {
namespace {

// code and words of what was thrown.
std::pair<ErrorCode, std::string> describe(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kOutOfMemory, "out of memory"};
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal, error.what()};
  } catch (...) {
    return {ErrorCode::kInternal, "something that is no std::exception was thrown"};
  }
}

std::exception_ptr cancelled_error(std::string message) {
  return std::make_exception_ptr(Error(ErrorCode::kCancelled, std::move(message)));
}

}  // namespace

std::vector<Scheduler::Impl::Request> Scheduler::Impl::requests_in(
    std::initializer_list<RequestState> states) const {
  const std::lock_guard lock(mutex_);
  std::vector<Request> found;
  for (const auto& [id, request] : requests_) {
    if (std::find(states.begin(), states.end(), request->status.state) != states.end())
      found.push_back(request);
  }
  return found;
}

bool Scheduler::Impl::step() {
  if (context_.cancelled()) {
    end_all();
    return false;
  }
  bool busy = end_cut_off();
  if (processes_here()) busy |= process_here();
  busy |= begin_encoding();
  // Where answers are running, a step has frames or chunks of prompts, not both: what they wait for is one of
  // them.
  const bool decoding = !requests_in({RequestState::kDecoding}).empty();
  const int64_t patches = decoding ? options_.encode_patches : FrameEncoder::kPatchesAtOnce;
  const bool encoded = (!decoding || encode_turn_) && encode_next(patches);
  encode_turn_ = !encoded;
  busy |= encoded;
  busy |= step_loop(!(decoding && encoded));
  return busy;
}

// All that is text, so that it shares the step, and one request with media, whose files may be large.
bool Scheduler::Impl::process_here() {
  bool any = false, media = false;
  while (!media) {
    Request next;
    {
      const std::lock_guard lock(mutex_);
      next = next_to_process();
    }
    if (next == nullptr) break;
    any = true;
    process(*next);
    begin_encoding();
    media = next->status.patches > 0;  // written by this thread
  }
  return any;
}

// Requests that were cancelled or are late. Who processes one ends it.
bool Scheduler::Impl::end_cut_off() {
  bool any = false;
  for (const Request& request : requests_in({RequestState::kQueued, RequestState::kEncoding,
                                             RequestState::kPrefilling, RequestState::kDecoding})) {
    if (!request->cancelled && !request->late()) continue;
    any = true;
    fail(*request, cancelled_error("[scheduler] cancelled"));
  }
  return any;
}

void Scheduler::Impl::end_all() {
  std::exception_ptr reason;
  try {
    context_.check_cancelled();
  } catch (...) {
    reason = std::current_exception();
  }
  for (const Request& request : requests_in({RequestState::kQueued, RequestState::kEncoding,
                                             RequestState::kPrefilling, RequestState::kDecoding}))
    fail(*request, reason);
}

void Scheduler::Impl::fail(ScheduledRequest& request, const std::exception_ptr& failure) {
  const auto [code, message] = describe(failure);
  if (code != ErrorCode::kCancelled) {
    take_results(request);
    request.answers.results.clear();
    request.failure = failure;
    return finish(request, RequestOutcome::kFailed);
  }
  if (request.cancelled || context_.cancelled()) return cut_off(request, RequestOutcome::kCancelled, failure);
  if (request.late()) {
    const RequestState state = [&] {
      const std::lock_guard lock(mutex_);
      return request.status.state;
    }();
    return cut_off(
        request, RequestOutcome::kDeadline,
        cancelled_error(fmt::format("[scheduler] request {} was {} when its deadline of {} s passed",
                                    request.id, to_string(state), *request.options.deadline_s)));
  }
  cut_off(request, RequestOutcome::kFailed, failure);  // a hook said so
}

// Its prompts' results, where all have begun, else the reason.
void Scheduler::Impl::cut_off(ScheduledRequest& request, RequestOutcome outcome,
                              const std::exception_ptr& reason) {
  const bool all_begun =
      !request.jobs.empty() && std::all_of(request.jobs.begin(), request.jobs.end(),
                                           [&](uint64_t job) { return loop_.status(job).begun; });
  const std::exception_ptr failure = take_results(request);
  if (outcome == RequestOutcome::kFailed || failure || !all_begun) {
    request.failure = reason;
    request.answers.results.clear();
  }
  if (outcome == RequestOutcome::kDeadline) {
    const std::lock_guard lock(mutex_);
    request.status.message = describe(reason).second;
  }
  finish(request, outcome);
}

// Ends what runs of its jobs and takes them all. What the first of them threw, if one did.
std::exception_ptr Scheduler::Impl::take_results(ScheduledRequest& request) {
  std::exception_ptr failure;
  for (const uint64_t job : std::exchange(request.jobs, {})) {
    loop_.cancel(job);
    try {
      for (GenerationResult& result : loop_.take(job)) request.answers.results.push_back(std::move(result));
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  return failure;
}

// Nothing but its outcome stays.
void Scheduler::Impl::finish(ScheduledRequest& request, RequestOutcome outcome) {
  Timings& timings = request.answers.timings;
  if (request.begun) timings.generate_s = now_s() - request.started_s - timings.process_s;
  request.encoding.reset();
  request.request.reset();
  request.options.hooks = {};
  const std::lock_guard lock(mutex_);
  held_bytes_ -= std::exchange(request.held_bytes, 0);
  RequestStatus& status = request.status;
  if (outcome == RequestOutcome::kFailed) {
    const auto [code, message] = describe(request.failure);
    status.error = code;
    status.message = message;
  }
  status.outcome = outcome;
  status.state = RequestState::kDone;
  totals_.finished += outcome == RequestOutcome::kFinished ? 1 : 0;
  totals_.failed += outcome == RequestOutcome::kFailed ? 1 : 0;
  totals_.cancelled += outcome == RequestOutcome::kCancelled || outcome == RequestOutcome::kDeadline ? 1 : 0;
  changed_.notify_all();
}

// Decoding begins, and what has nothing to encode waits for nothing.
bool Scheduler::Impl::begin_encoding() {
  bool any = false;
  for (const Request& request : requests_in({RequestState::kEncoding})) {
    if (request->begun) continue;
    any = true;
    begin_encoding(*request);
  }
  return any;
}

void Scheduler::Impl::begin_encoding(ScheduledRequest& request) {
  try {
    request.begun = true;
    request.encoding->begin(context_);
    {
      const std::lock_guard lock(mutex_);
      request.status.patches = request.encoding->patches();
    }
    request.encoding->ready();
    if (request.encoding->patches() == 0) encode_some(request, 0);
  } catch (...) {
    fail(request, std::current_exception());
  }
}

// Some frames of the request of the highest priority that had the fewest until now, of those that have some
// decoded: a picture passes a long clip by.
bool Scheduler::Impl::encode_next(int64_t patches) {
  std::vector<Request> ready;
  for (Request& request : requests_in({RequestState::kEncoding})) {
    if (request->begun && request->encoding->ready()) ready.push_back(std::move(request));
  }
  if (ready.empty()) return false;
  const auto order = [](const Request& request) {
    return std::tuple(-static_cast<int64_t>(request->rank.priority), request->encoding->encoded(),
                      request->id);
  };
  const Request next = *std::min_element(
      ready.begin(), ready.end(), [&](const Request& a, const Request& b) { return order(a) < order(b); });
  encode_some(*next, patches);
  return true;
}

// One group at least, and more while another one like the last is there and fits in.
void Scheduler::Impl::encode_some(ScheduledRequest& request, int64_t patches) {
  try {
    Encoding& encoding = *request.encoding;
    const int64_t before = encoding.encoded();
    bool more = true, fits = true;
    while (more && fits) {
      const int64_t taken = encoding.encoded();
      more = encoding.encode_next(context_, patches);
      const int64_t last = encoding.encoded() - taken;
      fits = last > 0 && encoding.encoded() - before + last <= patches && encoding.ready();
    }
    {
      const std::lock_guard lock(mutex_);
      request.status.patches_encoded = encoding.encoded();
    }
    if (!more) add_jobs(request);
  } catch (...) {
    fail(request, std::current_exception());
  }
}

// What all memory for keys and values holds of a prompt and one of its sequences; it has a limit. Of each
// sequence the last block may be begun, and the prompt's last one copied.
int64_t Scheduler::Impl::cache_tokens(int64_t sequences) const {
  return std::max<int64_t>(totals_.max_cache_blocks / sequences - 2, 0) * KvCache::kBlockTokens;
}

int64_t Scheduler::Impl::context_tokens() const {
  const int64_t of_model = engine_.model().config().text.max_position_embeddings;
  return totals_.max_cache_blocks > 0 ? std::min(of_model, cache_tokens(1)) : of_model;
}

// As many as the settings want and the context, and all memory for keys and values, hold behind the prompt.
int64_t Scheduler::Impl::new_tokens_in_context(const GenerationConfig& settings,
                                               int64_t prompt_tokens) const {
  int64_t room = context_tokens() - prompt_tokens;
  if (room < 1) throw ContextExceeded(prompt_tokens, 1, context_tokens());
  if (totals_.max_cache_blocks > 0) {
    const int64_t held = cache_tokens(std::max(settings.num_beams, settings.num_return_sequences));
    room = std::clamp<int64_t>(held - settings.prompt_lookup_num_tokens - prompt_tokens, 1, room);
  }
  const bool limited = settings.max_new_tokens || settings.max_length;
  return limited ? std::min(room, settings.new_token_limit(prompt_tokens)) : room;
}

void Scheduler::Impl::add_jobs(ScheduledRequest& request) {
  EncodedRequest encoded = request.encoding->finish(context_);
  request.answers.timings.process_s = request.encoding->media_s();
  request.answers.timings.encode_s = request.encoding->encode_s();
  request.encoding.reset();
  request.answers.inputs = std::move(encoded.inputs);
  const VisualKeys keys{std::move(encoded.image_rows), std::move(encoded.video_rows)};
  std::vector<Prompt> prompts =
      make_prompts(context_, engine_.model(), encoded.forward, encoded.named ? &keys : nullptr);
  const GenerationConfig& settings = request.options.generation;
  const uint64_t seed = seed_of(settings);
  const GenerationHooks hooks = hooks_for(request);
  for (size_t i = 0; i < prompts.size(); ++i) {
    prompts[i].adapter = request.options.adapter;
    prompts[i].cache_salt = request.options.cache_salt;
    GenerationConfig own = settings;
    if (request.options.cut_to_context)
      own.max_new_tokens = new_tokens_in_context(settings, prompts[i].length());
    request.jobs.push_back(loop_.add({std::move(prompts[i]),
                                      {static_cast<int64_t>(i), decoder_.vocab_size(), seed, own, hooks},
                                      request.rank}));
  }
  const std::lock_guard lock(mutex_);
  held_bytes_ -= std::exchange(request.held_bytes, 0);
  request.status.state = RequestState::kPrefilling;
  changed_.notify_all();
}

bool Scheduler::Impl::step_loop(bool with_prompts) {
  const bool stepped = loop_.step(with_prompts);
  if (context_.cancelled()) {
    end_all();
    return stepped;
  }
  for (const Request& request : requests_in({RequestState::kPrefilling, RequestState::kDecoding})) {
    try {
      update(*request);
      collect(*request);
    } catch (...) {  // progress told
      fail(*request, std::current_exception());
    }
  }
  const std::lock_guard lock(mutex_);
  totals_.steps = loop_.steps();
  totals_.cache_blocks = loop_.used_blocks();
  return stepped;
}

void Scheduler::Impl::update(ScheduledRequest& request) {
  RequestStatus now;
  bool all_begun = true;
  for (const uint64_t job : request.jobs) {
    const JobStatus status = loop_.status(job);
    now.prompt_tokens += status.prompt_tokens;
    now.tokens_prefilled += status.prefilled_tokens;
    now.cached_tokens += status.cached_tokens;
    now.new_tokens += status.new_tokens;
    now.preemptions += status.preemptions;
    all_begun = all_begun && status.begun;
  }
  int64_t prefilled_before = 0;
  {
    const std::lock_guard lock(mutex_);
    RequestStatus& status = request.status;
    prefilled_before = status.tokens_prefilled;
    totals_.prompt_tokens += now.prompt_tokens - status.prompt_tokens;
    totals_.cached_tokens += now.cached_tokens - status.cached_tokens;
    totals_.new_tokens += now.new_tokens - status.new_tokens;
    totals_.preemptions += now.preemptions - status.preemptions;
    status.prompt_tokens = now.prompt_tokens;
    status.tokens_prefilled = now.tokens_prefilled;
    status.cached_tokens = now.cached_tokens;
    status.new_tokens = now.new_tokens;
    status.preemptions = now.preemptions;
    status.state = all_begun ? RequestState::kDecoding : RequestState::kPrefilling;
  }
  const Probe* probe = request.options.probe;
  if (probe != nullptr && probe->progress && now.tokens_prefilled > prefilled_before)
    probe->progress("prefill", now.tokens_prefilled, now.prompt_tokens);
}

// Done when all of its jobs are, or one has failed.
void Scheduler::Impl::collect(ScheduledRequest& request) {
  bool all_done = true, failed = false;
  for (const uint64_t job : request.jobs) {
    all_done = all_done && loop_.done(job);
    failed = failed || loop_.status(job).failed;
  }
  if (!all_done && !failed) return;
  const std::exception_ptr failure = take_results(request);
  if (failure) return fail(request, failure);
  finish(request, RequestOutcome::kFinished);
}

}  // namespace vl3
