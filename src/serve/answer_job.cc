#include "serve/answer_job.h"

#include <limits>
#include <utility>

#include "base/clock.h"
#include "vl3/context_exceeded.h"

namespace vl3::serve {
namespace {

constexpr double kProgressEvery_s = 0.1;

double seconds(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

ApiError too_late() { return deadline_exceeded("before it had a token"); }

}  // namespace

AnswerJob::AnswerJob(Service& service, std::string id, std::string prompt,
                     std::shared_ptr<http::Exchange> exchange, std::unique_ptr<OpenPlace> place,
                     double received_s)
    : service_(service),
      request_(std::move(id)),
      prompt_(std::move(prompt)),
      exchange_(std::move(exchange)),
      place_(std::move(place)) {
  times_.received_s = received_s;
  last_said_s_ = received_s;
}

void AnswerJob::start(AnswerSetup setup) {
  setup_ = std::move(setup);
  exchange_->when_gone([weak = weak_from_this()] {
    if (const auto job = weak.lock()) job->cancel();
  });
  set_up_ = true;
  if (!setup_.slow) return submit();
  service_.fetchers.post(setup_.options.client, [job = shared_from_this()] { job->submit(); });
}

void AnswerJob::cancel() {
  cancelled_ = true;
  if (const RequestId id = id_; id != 0) service_.thread.cancel(id);
}

RequestOptions AnswerJob::options_with_hooks() {
  RequestOptions options = setup_.options;
  options.generation = setup_.sampling.settings;
  if (!setup_.sampling.skip_special)
    options.hooks.make_text = text_with_specials(service_.engine.processor().tokenizer());
  options.hooks.on_token = [this](const StreamEvent& event) {
    token(event);
    return !cancelled_;
  };
  probe_.progress = [this](std::string_view stage, int64_t done, int64_t total) {
    progress(stage, done, total);
  };
  options.probe = &probe_;
  return options;
}

void AnswerJob::keep_form(RequestOptions& options) {
  if (!setup_.structured.spec.is_null()) {
    const auto& ends = options.generation.eos_token_id;
    if (ends.empty())
      throw ApiError(400, "invalid_value",
                     "An answer that has to have a form needs an end: \"ignore_eos\" should be false.",
                     "ignore_eos");
    service_.forms.compile(setup_.structured, options.client).install(options.hooks, ends);
  }
  if (!setup_.sampling.allowed_ids.empty())
    options.hooks.allowed = allow_only(setup_.sampling.allowed_ids, std::move(options.hooks.allowed));
}

double AnswerJob::left_s() const {
  const double all = setup_.options.deadline_s.value_or(std::numeric_limits<double>::infinity());
  return all - (now_s() - times_.received_s);
}

void AnswerJob::submit() {
  try {
    Prompted prompted = setup_.prepare([this] { return cancelled_.load(); });
    if (cancelled_) return refuse({503, "cancelled", "The request was cut off before it was answered."});
    {
      const std::lock_guard lock(mutex_);
      times_.submitted_s = now_s();
    }
    if (setup_.prompts_alone) return tell_prompts(std::get<ForwardInput>(std::move(prompted)).ids);
    submit(std::move(prompted));
  } catch (...) {
    fail(std::current_exception());
  }
}

void AnswerJob::submit(Prompted prompted) {
  RequestOptions options = options_with_hooks();
  keep_form(options);
  if (options.deadline_s) {
    options.deadline_s = left_s();
    if (*options.deadline_s <= 0) throw too_late();
  }
  // The hooks point here: the job lives until its end was told.
  const auto then = [job = shared_from_this()](EndedRequest ended) { job->end(std::move(ended)); };
  id_ = std::visit(
      [&](auto& request) { return service_.thread.submit(std::move(request), std::move(options), then); },
      prompted);
  if (cancelled_) service_.thread.cancel(id_);  // it was asked for in between
}

void AnswerJob::tell_prompts(std::vector<std::vector<int64_t>> prompts) {
  EndedRequest ended;
  ended.status.outcome = RequestOutcome::kFinished;
  setup_.sampling.all_the_same = true;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto tokens = static_cast<int64_t>(prompts[i].size());
    if (tokens > service_.context_tokens()) throw ContextExceeded(tokens, 0, service_.context_tokens());
    ended.status.prompt_tokens += tokens;
    GenerationResult& result = ended.answers.results.emplace_back();
    result.prompt = static_cast<int64_t>(i);
    result.ids = std::move(prompts[i]);
  }
  end(std::move(ended));
}

void AnswerJob::begin() {
  if (begun_) return;
  begun_ = true;
  exchange_->begin(200, {{"content-type", "text/event-stream; charset=utf-8"},
                         {"cache-control", "no-cache, no-transform"},
                         {"x-accel-buffering", "no"}});
  std::string head;
  setup_.format->begin(head);
  write(std::move(head));
}

void AnswerJob::write(std::string text) {
  if (text.empty()) return;
  exchange_->write(std::move(text));
  last_said_s_ = now_s();
}

void AnswerJob::token(const StreamEvent& event) {
  const std::lock_guard lock(mutex_);
  const double now = now_s();
  if (times_.first_token_s == 0) {
    times_.first_token_s = now;
    if (started_s_ == 0) started_s_ = now;
  } else if (event.sequence == 0 && event.prompt == 0) {
    service_.metrics.inter_token_latency_seconds.observe(now - last_token_s_);
  }
  last_token_s_ = now;
  if (!setup_.fields.stream || over_) return;
  begin();
  const Sampling& sampling = setup_.sampling;
  const int64_t copies = sampling.all_the_same ? sampling.n : 1;
  std::string out;
  for (int64_t i = 0; i < copies; ++i)
    setup_.format->token(event.prompt * sampling.n + (sampling.all_the_same ? i : event.sequence), event,
                         out);
  write(std::move(out));
}

void AnswerJob::progress(std::string_view stage, int64_t done, int64_t total) {
  const std::lock_guard lock(mutex_);
  const double now = now_s();
  if (started_s_ == 0) started_s_ = now;
  const RequestFields& fields = setup_.fields;
  if (!fields.stream || !fields.return_progress || over_) return;
  if (now - last_progress_s_ < kProgressEvery_s && done < total) return;
  last_progress_s_ = now;
  begin();
  std::string out;
  setup_.format->progress(stage, done, total, out);
  write(std::move(out));
}

void AnswerJob::cut_off(const ApiError& error) {
  refuse(error);  // first: what ends by being cancelled tells its own end
  cancel();
}

void AnswerJob::glance() {
  if (!set_up_ || cancelled_) return;
  std::unique_lock lock(mutex_);
  if (over_) return;
  if (times_.submitted_s == 0 && left_s() <= 0) {  // later the scheduler sees to it
    lock.unlock();
    return cut_off(too_late());
  }
  if (!setup_.fields.stream || now_s() - last_said_s_ < seconds(service_.options.keep_alive)) return;
  begin();
  write(": ping\n\n");
}

void AnswerJob::fail(const std::exception_ptr& failure) {
  refuse(service_.refusal(failure, request_, prompt_));
}

void AnswerJob::refuse(const ApiError& error) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  over_ = true;
  place_.reset();
  if (begun_) {
    std::string out;
    setup_.format->fail(error, out);
    write(std::move(out));
    exchange_->finish();
  } else {
    exchange_->send(error_reply(error));
  }
}

void AnswerJob::end(EndedRequest ended) {
  try {
    if (ended.status.outcome == RequestOutcome::kDeadline && ended.failure) throw too_late();
    if (ended.status.outcome == RequestOutcome::kCancelled)
      throw ApiError(503, "cancelled", "The request was cut off before it was answered.");
    if (ended.failure) std::rethrow_exception(ended.failure);
    finish(std::move(ended));
  } catch (...) {
    auto& ends = service_.metrics.request_success;
    (ended.status.outcome == RequestOutcome::kFailed ? ends.error : ends.abort).add();
    fail(std::current_exception());
  }
}

void AnswerJob::finish(EndedRequest ended) {
  const std::lock_guard lock(mutex_);
  times_.done_s = now_s();
  if (times_.first_token_s == 0) times_.first_token_s = times_.done_s;  // there is none
  const RequestStatus status = ended.status;
  const Processor& processor = service_.engine.processor();
  const int64_t visual_ids[] = {processor.image_token_id(), processor.video_token_id()};
  AnswerOutcome outcome = outcome_of(status, std::move(ended.answers), setup_.sampling, times_, visual_ids);
  measure(ended, outcome);
  place_.reset();
  service_.update_gauges();
  if (over_) return;  // it was cut off, and the client was told
  if (setup_.fields.stream) {
    begin();
    std::string out;
    setup_.format->finish(outcome, out);
    write(std::move(out));
    over_ = true;
    return exchange_->finish();
  }
  http::Reply reply;
  reply.fields.add("content-type", "application/json");
  reply.body = setup_.format->whole(outcome).dump(-1, ' ', false, Json::error_handler_t::replace);
  over_ = true;
  exchange_->send(std::move(reply));
}

void AnswerJob::measure(const EndedRequest& ended, const AnswerOutcome& outcome) {
  Metrics& metrics = service_.metrics;
  const Usage& usage = outcome.usage;
  const auto count = [](int64_t n) { return static_cast<uint64_t>(std::max<int64_t>(n, 0)); };
  metrics.prompt_tokens.add(count(usage.prompt_tokens));
  metrics.generation_tokens.add(count(usage.completion_tokens));
  metrics.prefix_cache_queries.add(count(ended.status.prompt_tokens));
  metrics.prefix_cache_hits.add(count(ended.status.cached_tokens));
  metrics.frames_sampled.add(count(ended.status.frames));
  metrics.visual_tokens.image.add(count(usage.image_tokens));
  metrics.visual_tokens.video.add(count(usage.video_tokens));
  metrics.visual_tokens_before.image.add(count(usage.image_tokens));
  metrics.visual_tokens_before.video.add(count(usage.whole_video_tokens));
  if (ended.status.patches > 0) metrics.media_encode_seconds.observe(outcome.encode_s);
  auto& ends = metrics.request_success;
  const std::string reason = outcome.choices.empty() ? "stop" : outcome.choices[0].finish_reason;
  (reason == "stop" ? ends.stop : reason == "length" ? ends.length : ends.abort).add();
  const double first = times_.first_token_s;
  const double started = started_s_ == 0 ? first : started_s_;
  metrics.time_to_first_token_seconds.observe(first - times_.received_s);
  metrics.e2e_request_latency_seconds.observe(times_.done_s - times_.received_s);
  metrics.request_queue_time_seconds.observe(started - times_.submitted_s);
  metrics.request_prefill_time_seconds.observe(first - started);
  metrics.request_decode_time_seconds.observe(times_.done_s - first);
  metrics.request_inference_time_seconds.observe(times_.done_s - started);
  metrics.request_prompt_tokens.observe(static_cast<double>(usage.prompt_tokens));
  metrics.request_generation_tokens.observe(static_cast<double>(usage.completion_tokens));
  metrics.request_params_n.observe(static_cast<double>(setup_.sampling.n));
  if (setup_.sampling.max_tokens)
    metrics.request_params_max_tokens.observe(static_cast<double>(*setup_.sampling.max_tokens));
}

}  // namespace vl3::serve
