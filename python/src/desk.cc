#include "desk.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "base/check.h"
#include "engine/hidden_work.h"

namespace vl3::python {
namespace {

constexpr int kReaders = 2;        // a form that takes long to compile does not hold up everyone
constexpr int kFetchers = 8;       // each waits for a download most of the time
constexpr int kOthers = 2;         // plans and vectors that are made at once
constexpr size_t kMostForms = 32;  // kept
constexpr int64_t kMostSequences = 128;
constexpr int64_t kNewTokens = 512;  // as parse_answer_request
const char* const kOrigin = "request";

[[noreturn]] void fail_closed() { throw std::runtime_error("[llm] is closed"); }

int64_t half_of_what_is_free(const Engine& engine) {
  ProcessorRequest any;
  any.conversations.push_back(Json::array({{{"role", "user"}, {"content", "hello"}}}));
  return engine.plan(nullptr, any, engine.default_settings(), nullptr, false).available_bytes / 2;
}

SchedulerOptions with_bound(SchedulerOptions options, const Engine& engine) {
  if (options.kv_cache_bytes == 0) options.kv_cache_bytes = half_of_what_is_free(engine);
  return options;
}

// A number of answers that settings have; what is none stays there to be refused.
std::optional<int64_t> take_sequences(Json& request) {
  const auto generate = request.find("generate");
  if (generate == request.end() || !generate->is_object()) return std::nullopt;
  const auto given = generate->find("num_return_sequences");
  if (given == generate->end() || !given->is_number_integer()) return std::nullopt;
  const int64_t sequences = given->get<int64_t>();
  if (sequences < 1 || sequences > kMostSequences) return std::nullopt;
  generate->erase(given);
  return sequences;
}

JobOutcome failed(std::exception_ptr failure) {
  JobOutcome outcome;
  outcome.failure = std::move(failure);
  return outcome;
}

// As the scheduler ends a request whose deadline passes before it has a token.
JobOutcome too_late(const Job& job) {
  JobOutcome outcome;
  outcome.answer.status.outcome = RequestOutcome::kDeadline;
  outcome.answer.status.message =
      fmt::format("[llm] the deadline of {} s passed while the request was read and its media were fetched",
                  *job.deadline_s);
  outcome.failure = std::make_exception_ptr(Error(ErrorCode::kCancelled, outcome.answer.status.message));
  return outcome;
}

}  // namespace

// Ends a job as cancelled where its work is dropped before it began.
class Desk::Ender {
 public:
  explicit Ender(std::shared_ptr<Job> job) : job_(std::move(job)) {}
  ~Ender() {
    if (job_ == nullptr) return;
    job_->end(failed(std::make_exception_ptr(Error(ErrorCode::kCancelled, "[llm] was closed"))));
  }
  Ender(const Ender&) = delete;
  Ender& operator=(const Ender&) = delete;
  std::shared_ptr<Job> begin() { return std::move(job_); }

 private:
  std::shared_ptr<Job> job_;
};

Desk::Desk(DeskOptions options)
    : engine_(Engine::open(options.model, std::move(options.engine))),
      context_(std::move(options.context)),
      process_(getpid()) {
  if (options.fetch) fetcher_.emplace(std::move(*options.fetch));
  thread_ = std::make_unique<EngineThread>(context_, engine_, with_bound(options.scheduler, engine_));
  readers_ = std::make_unique<WorkerPool>(kReaders);
  fetchers_ = std::make_unique<WorkerPool>(kFetchers);
  others_ = std::make_unique<WorkerPool>(kOthers);
}

std::shared_ptr<Desk> Desk::open(DeskOptions options) {
  // A fork's child has none of the threads that would be waited for.
  return {new Desk(std::move(options)), [](Desk* desk) {
            if (!desk->forked()) delete desk;
          }};
}

bool Desk::forked() const noexcept { return getpid() != process_; }

void Desk::check_open() const {
  if (forked()) {
    throw std::runtime_error(fmt::format(
        "[llm] was opened in process {} and this is its fork, {}: open the model in the child, or start "
        "processes by \"spawn\"",
        process_, getpid()));
  }
  if (closing_) fail_closed();
}

std::shared_ptr<Job> Desk::new_job(std::shared_ptr<Mailbox> box, bool events) {
  check_open();
  return std::make_shared<Job>(next_job_++, std::move(box), events);
}

std::shared_ptr<Job> Desk::answer(Ask ask, std::shared_ptr<Mailbox> box) {
  require(!ask.deadline_s || *ask.deadline_s > 0, ErrorCode::kInvalidArgument,
          "[llm] deadline is {} s, it should be above 0", ask.deadline_s.value_or(0));
  auto job = new_job(std::move(box), ask.events);
  job->deadline_s = ask.deadline_s;
  const auto ender = std::make_shared<Ender>(job);
  const auto kept = std::make_shared<Ask>(std::move(ask));
  WorkerPool& pool = names_addresses(kept->request) ? *fetchers_ : *readers_;
  pool.post(kept->client, [this, kept, ender] {
    const std::shared_ptr<Job> begun = ender->begin();
    try {
      require(!begun->cancelled(), ErrorCode::kCancelled, "[llm] cancelled");
      submit(std::move(*kept), begun);
    } catch (const Error& error) {
      const bool late = error.code() == ErrorCode::kCancelled && begun->late() && !begun->cancelled();
      begun->end(late ? too_late(*begun) : failed(std::current_exception()));
    } catch (...) {
      begun->end(failed(std::current_exception()));
    }
  });
  return job;
}

// copies: how often the only answer is wanted. Several greedy ones are refused as settings, being the same.
AnswerRequest Desk::read(Ask& ask, const Job& job, int64_t* copies) {
  const std::optional<int64_t> sequences = take_sequences(ask.request);
  AnswerRequest read;
  if (!ask.prompt) {
    read = parse_answer_request(engine_, ask.request, kOrigin);
    read.request.media = std::move(ask.media);
    read.request.prompt = std::move(ask.text);
    if (fetcher_)
      open_addresses(read.request, [&](const std::string& address, bool video) {
        return fetcher_->fetch(address, video, false,
                               [&] { return closing_ || job.cancelled() || job.late(); });
      });
  } else {
    read.settings = engine_.default_settings();
    if (ask.request.contains("generate"))
      read.settings = GenerationConfig::from_json(ask.request["generate"], read.settings, kOrigin);
    if (!read.settings.max_new_tokens && !read.settings.max_length) read.settings.max_new_tokens = kNewTokens;
  }
  if (!sequences) return read;
  if (read.settings.num_beams == 1 && !read.settings.samples()) {
    if (copies != nullptr) *copies = *sequences;
  } else {
    read.settings.num_return_sequences = *sequences;
    read.settings.validate();
  }
  return read;
}

void Desk::submit(Ask ask, const std::shared_ptr<Job>& job) {
  AnswerRequest read = this->read(ask, *job, &job->copies);
  GenerationConfig& settings = read.settings;
  if (!ask.structured.is_null()) install_structured(form_of(ask.structured), settings, read.hooks);
  RequestOptions options;
  options.generation = std::move(settings);
  options.hooks = std::move(read.hooks);
  options.client = std::move(ask.client);
  options.cache_salt = std::move(ask.cache_salt);
  options.priority = ask.priority;
  options.cut_to_context = ask.cut_to_context;
  options.adapter = ask.adapter;
  if (ask.events) {
    options.hooks.on_token = [job](const StreamEvent& event) {
      job->push(event);
      return true;
    };
  }
  const auto then = [job](EndedRequest ended) {
    JobOutcome outcome;
    outcome.failure = ended.failure;
    outcome.answer = std::move(ended);
    job->end(std::move(outcome));
  };
  if (job->deadline_s) {
    const double left_s = *job->deadline_s - job->age_s();
    require(left_s > 0, ErrorCode::kCancelled, "[llm] the deadline has passed");
    options.deadline_s = std::ceil(left_s * 1e3) / 1e3;
  }
  const std::shared_lock lock(thread_mutex_);
  if (thread_ == nullptr) fail_closed();
  RequestId id = 0;
  if (ask.prompt) {
    ForwardInput input;
    input.ids = {std::move(*ask.prompt)};
    id = thread_->submit(std::move(input), std::move(options), then);
  } else {
    id = thread_->submit(std::move(read.request), std::move(options), then);
  }
  if (job->submitted(id)) thread_->cancel(id);
}

// What was compiled lately is kept: a batch has one form most of the time.
StructuredOutput Desk::form_of(const Json& structured) {
  const std::string key = structured.dump();
  std::optional<StructuredCompiler> compiler;
  {
    const std::lock_guard lock(forms_mutex_);
    for (auto kept = forms_.begin(); kept != forms_.end(); ++kept) {
      if (kept->key != key) continue;
      forms_.splice(forms_.begin(), forms_, kept);
      return forms_.front().form;
    }
    if (!compiler_) compiler_.emplace(engine_.processor().tokenizer());
    compiler = compiler_;
  }
  StructuredOutput form = compiler->from_json(structured);
  const std::lock_guard lock(forms_mutex_);
  forms_.push_front({key, form});
  if (forms_.size() > kMostForms) forms_.pop_back();
  return form;
}

std::shared_ptr<Job> Desk::plan(Ask ask, bool estimate, std::shared_ptr<Mailbox> box) {
  auto job = new_job(std::move(box), false);
  const auto ender = std::make_shared<Ender>(job);
  const auto kept = std::make_shared<Ask>(std::move(ask));
  others_->post("", [this, kept, ender, estimate] {
    const std::shared_ptr<Job> begun = ender->begin();
    try {
      begun->end(plan_now(std::move(*kept), estimate, *begun));
    } catch (...) {
      begun->end(failed(std::current_exception()));
    }
  });
  return job;
}

JobOutcome Desk::plan_now(Ask ask, bool estimate, const Job& job) {
  AnswerRequest read = this->read(ask, job);
  OpenMedia opened;
  JobOutcome outcome;
  Plan plan = engine_.plan(nullptr, read.request, read.settings, &opened, false);
  if (estimate) {  // how fast products are is measured between two steps
    run_on_engine(
        *thread_, [this] { return closing_.load(); },
        [&](Context& context) {
          plan = engine_.plan(&context, read.request, read.settings, &opened, true);
          return false;
        });
  }
  outcome.plan = plan.to_json();
  return outcome;
}

std::shared_ptr<Job> Desk::embed(Ask ask, bool media_alone, bool per_frame, std::shared_ptr<Mailbox> box) {
  auto job = new_job(std::move(box), false);
  const auto ender = std::make_shared<Ender>(job);
  const auto kept = std::make_shared<Ask>(std::move(ask));
  others_->post(kept->client, [this, kept, ender, media_alone, per_frame] {
    const std::shared_ptr<Job> begun = ender->begin();
    try {
      begun->end(embed_now(std::move(*kept), media_alone, per_frame, *begun));
    } catch (...) {
      begun->end(failed(std::current_exception()));
    }
  });
  return job;
}

JobOutcome Desk::embed_now(Ask ask, bool media_alone, bool per_frame, const Job& job) {
  const Cancelled cancelled = [this, &job] { return job.cancelled() || closing_; };
  JobOutcome outcome;
  if (ask.prompt) {
    JobVector vector;
    vector.tokens = static_cast<int64_t>(ask.prompt->size());
    vector.values = last_hidden_state(*thread_, *ask.prompt, cancelled);
    outcome.vectors.push_back(std::move(vector));
    return outcome;
  }
  ProcessorRequest request = read(ask, job).request;
  if (!media_alone) {
    JobVector vector;
    vector.values = last_hidden_state(*thread_, std::move(request), cancelled, &vector.tokens);
    outcome.vectors.push_back(std::move(vector));
    return outcome;
  }
  VisualVectors all = visual_vectors(*thread_, std::move(request), per_frame, cancelled);
  const auto add = [&](std::vector<std::vector<VisualVector>>& items, bool clips) {
    for (size_t i = 0; i < items.size(); ++i) {
      for (VisualVector& visual : items[i]) {
        JobVector vector;
        vector.values = std::move(visual.mean);
        vector.media = static_cast<int64_t>(i);
        vector.tokens = visual.tokens;
        vector.clip = clips;
        if (clips && per_frame) vector.frame = visual.frame;
        vector.timestamp = visual.timestamp;
        outcome.vectors.push_back(std::move(vector));
      }
    }
  };
  add(all.pictures, false);
  add(all.clips, true);
  return outcome;
}

void Desk::cancel(Job& job) {
  if (forked()) return;
  const std::optional<RequestId> request = job.cancel();
  if (!request) return;
  const std::shared_lock lock(thread_mutex_);
  if (thread_ != nullptr) thread_->cancel(*request);
}

std::optional<RequestStatus> Desk::status(const Job& job) const {
  if (forked()) return std::nullopt;
  const std::optional<RequestId> request = job.request();
  const std::shared_lock lock(thread_mutex_);
  if (!request || thread_ == nullptr) return std::nullopt;
  try {
    return thread_->scheduler().status(*request);
  } catch (const Error&) {  // it has ended and was taken
    return std::nullopt;
  }
}

SchedulerStats Desk::stats() const {
  const std::shared_lock lock(thread_mutex_);
  if (forked() || thread_ == nullptr) fail_closed();
  return thread_->scheduler().stats();
}

// Those that give to the engine's thread go first; what they have given is told of its end while everything
// is there.
void Desk::close() {
  if (forked() || closing_.exchange(true)) return;
  context_.cancel();
  readers_->stop();
  fetchers_->stop();
  others_->stop();
  std::unique_ptr<EngineThread> thread;
  {
    const std::unique_lock lock(thread_mutex_);
    thread = std::move(thread_);
  }
  thread.reset();
}

}  // namespace vl3::python
