#include "capi/session.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/json.h"
#include "capi/json_text.h"
#include "vl3/answer_request.h"

namespace vl3::capi {
namespace {

// The keys of a request that are the scheduler's.
RequestOptions scheduling(const Json& request) {
  RequestOptions options;
  const JsonView view(request, "request");
  options.client = view.string("client", "");
  options.priority = static_cast<int>(view.integer("priority", 0, -1000, 1000));
  if (view.has("deadline_s")) {
    options.deadline_s = view.number("deadline_s", 0);
    // Here and not by the scheduler, which sees it after everything was fetched.
    require(*options.deadline_s > 0, ErrorCode::kInvalidArgument,
            "[request] deadline_s is {}, it should be above 0", *options.deadline_s);
  }
  return options;
}

constexpr int kFetchers = 4;

std::exception_ptr cancelled() {
  return std::make_exception_ptr(Error(ErrorCode::kCancelled, "[request] was cancelled"));
}

// A request that waits to be fetched for, and is dropped where the session ends before its turn.
class Waiting {
 public:
  explicit Waiting(std::shared_ptr<Request> request) : request_(std::move(request)) {}
  ~Waiting() {
    if (request_ != nullptr) request_->fail(cancelled());
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  std::shared_ptr<Request> begin() { return std::move(request_); }

 private:
  std::shared_ptr<Request> request_;
};

}  // namespace

Session::Session(std::string folder, OpenOptions options)
    : folder_(std::move(folder)),
      engine_(Engine::open(folder_, options.engine)),
      context_(std::move(options.context)),
      thread_(context_, engine_),
      fetchers_(options.fetch ? kFetchers : 0) {
  if (options.fetch) fetcher_.emplace(std::move(*options.fetch));
}

Session::~Session() {
  closing_ = true;
  fetchers_.stop();
}

std::shared_ptr<Request> Session::submit(const Json& json) {
  // A bare list of messages has no place for the scheduler's keys.
  RequestOptions options = json.is_object() ? scheduling(json) : RequestOptions();
  auto request = std::make_shared<Request>();
  const bool structured = json.is_object() && json.contains("structured");
  AnswerRequest asked = parse_answer_request(engine_, json, "request", {"client", "priority", "deadline_s"},
                                             structured ? &compiler() : nullptr);
  if (!fetcher_ || !names_addresses(json)) {
    give(request, std::move(asked), std::move(options));
    return request;
  }
  {
    const std::lock_guard lock(mutex_);
    fetching_.insert(request.get());
  }
  const std::string client = options.client;
  fetchers_.post(client, [this, submitted_s = now_s(), waiting = std::make_shared<Waiting>(request),
                          kept = std::make_shared<AnswerRequest>(std::move(asked)),
                          how = std::make_shared<RequestOptions>(std::move(options))] {
    const std::shared_ptr<Request> begun = waiting->begin();
    try {
      fetch_and_give(begun, std::move(*kept), std::move(*how), submitted_s);
    } catch (...) {
      begun->fail(std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    fetching_.erase(begun.get());
  });
  return request;
}

void Session::fetch_and_give(const std::shared_ptr<Request>& request, AnswerRequest asked,
                             RequestOptions options, double submitted_s) {
  const auto left_s = [&] { return *options.deadline_s - (now_s() - submitted_s); };
  const auto late = [&] { return options.deadline_s && left_s() <= 0; };
  const auto stopped = [&] { return closing_ || request->cancel_asked() || late(); };
  try {
    open_addresses(asked.request, [&](const std::string& address, bool video) {
      return fetcher_->fetch(address, video, false, stopped);
    });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
  }
  require(!late(), ErrorCode::kCancelled,
          "[request] its deadline of {} s passed while what it names was fetched",
          options.deadline_s.value_or(0));
  if (stopped()) return request->fail(cancelled());
  if (options.deadline_s) options.deadline_s = std::max(left_s(), 1e-3);  // it must be above 0
  give(request, std::move(asked), std::move(options));
}

void Session::give(const std::shared_ptr<Request>& request, AnswerRequest asked, RequestOptions options) {
  options.hooks.allowed = std::move(asked.hooks.allowed);
  options.generation = std::move(asked.settings);
  // The scheduler holds the hooks no longer than the request that they tell.
  options.hooks.on_token = [told = request.get()](const StreamEvent& event) {
    told->tell(event);
    return !told->cancel_asked();
  };
  auto probe = std::make_unique<Probe>();
  probe->progress = [told = request.get()](std::string_view stage, int64_t done, int64_t total) {
    told->tell_progress(stage, done, total);
  };
  options.probe = probe.get();
  const auto then = [this, request, kept = std::shared_ptr<Probe>(std::move(probe))](EndedRequest ended) {
    {
      const std::lock_guard lock(mutex_);
      live_.erase(request.get());
    }
    if (ended.failure) return request->fail(ended.failure);
    try {
      request->finish(answers_text(ended.answers));
    } catch (...) {
      request->fail(std::current_exception());
    }
  };
  // Held meanwhile: the end is told behind this.
  const std::lock_guard lock(mutex_);
  const RequestId id = thread_.submit(std::move(asked.request), std::move(options), then);
  live_[request.get()] = id;
  fetching_.erase(request.get());
  if (request->cancel_asked()) thread_.cancel(id);  // before it could be found
}

// Sorting the vocabulary takes a while, and most sessions never ask for a form.
const StructuredCompiler& Session::compiler() {
  std::call_once(compiler_once_, [this] { compiler_.emplace(engine_.processor().tokenizer()); });
  return *compiler_;
}

void Session::cancel(Request& request) {
  const std::lock_guard lock(mutex_);
  request.ask_to_cancel();
  if (const auto found = live_.find(&request); found != live_.end()) return thread_.cancel(found->second);
  if (fetching_.contains(&request)) request.fail(cancelled());
}

Json Session::describe() const {
  return {{"folder", folder_},
          {"context_tokens", engine_.model().config().text.max_position_embeddings},
          {"weight_bytes", engine_.model().weight_bytes()},
          {"generate", engine_.default_settings().to_json()}};
}

}  // namespace vl3::capi
