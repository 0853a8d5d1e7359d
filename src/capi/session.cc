#include "capi/session.h"

#include <algorithm>

#include "base/json.h"
#include "capi/json_text.h"
#include "vl3/answer_request.h"

namespace vl3::capi {
namespace {

constexpr double kPatience_s = 0.02;  // without anything to do, while media are processed elsewhere

// The keys of a request that are the scheduler's.
RequestOptions scheduling(const Json& request) {
  RequestOptions options;
  const JsonView view(request, "request");
  options.client = view.string("client", "");
  options.priority = static_cast<int>(view.integer("priority", 0, -1000, 1000));
  if (view.has("deadline_s")) options.deadline_s = view.number("deadline_s", 0);
  return options;
}

}  // namespace

Session::Session(std::string folder, const EngineOptions& engine, ContextOptions context)
    : folder_(std::move(folder)),
      engine_(Engine::open(folder_, engine)),
      context_(std::move(context)),
      scheduler_(context_, engine_) {
  thread_ = std::thread([this] { work(); });
}

Session::~Session() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const Live& live : live_) scheduler_.cancel(live.id);
  }
  wake_.notify_all();
  thread_.join();
}

std::shared_ptr<Request> Session::submit(const Json& json) {
  // A bare list of messages has no place for the scheduler's keys.
  RequestOptions options = json.is_object() ? scheduling(json) : RequestOptions();
  auto request = std::make_shared<Request>();
  const bool structured = json.is_object() && json.contains("structured");
  AnswerRequest asked = parse_answer_request(engine_, json, "request", {"client", "priority", "deadline_s"},
                                             structured ? &compiler() : nullptr);
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
  {
    const std::lock_guard lock(mutex_);
    const RequestId id = scheduler_.submit(std::move(asked.request), std::move(options));
    live_.push_back({id, request, std::move(probe)});
  }
  wake_.notify_all();
  return request;
}

// Sorting the vocabulary takes a while, and most sessions never ask for a form.
const StructuredCompiler& Session::compiler() {
  std::call_once(compiler_once_, [this] { compiler_.emplace(engine_.processor().tokenizer()); });
  return *compiler_;
}

void Session::cancel(Request& request) {
  const std::lock_guard lock(mutex_);
  request.ask_to_cancel();
  for (const Live& live : live_) {
    if (live.request.get() == &request) scheduler_.cancel(live.id);
  }
}

void Session::work() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !live_.empty(); });
      if (stopping_ && live_.empty()) return;
    }
    if (!scheduler_.step()) scheduler_.wait_for_work(kPatience_s);
    collect();
  }
}

// Takes what is done.
void Session::collect() {
  std::vector<Live> done;
  {
    const std::lock_guard lock(mutex_);
    const auto ended = std::stable_partition(live_.begin(), live_.end(),
                                             [this](const Live& live) { return !scheduler_.done(live.id); });
    std::move(ended, live_.end(), std::back_inserter(done));
    live_.erase(ended, live_.end());
  }
  for (const Live& live : done) {
    try {
      live.request->finish(answers_text(scheduler_.take(live.id)));
    } catch (...) {
      live.request->fail(std::current_exception());
    }
  }
}

Json Session::describe() const {
  return {{"folder", folder_},
          {"context_tokens", engine_.model().config().text.max_position_embeddings},
          {"weight_bytes", engine_.model().weight_bytes()},
          {"generate", engine_.default_settings().to_json()}};
}

}  // namespace vl3::capi
