#include "capi/session.h"

#include <utility>

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
  if (view.has("deadline_s")) options.deadline_s = view.number("deadline_s", 0);
  return options;
}

}  // namespace

Session::Session(std::string folder, const EngineOptions& engine, ContextOptions context)
    : folder_(std::move(folder)),
      engine_(Engine::open(folder_, engine)),
      context_(std::move(context)),
      thread_(context_, engine_) {}

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
  live_[request.get()] = thread_.submit(std::move(asked.request), std::move(options), then);
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
  if (const auto found = live_.find(&request); found != live_.end()) thread_.cancel(found->second);
}

Json Session::describe() const {
  return {{"folder", folder_},
          {"context_tokens", engine_.model().config().text.max_position_embeddings},
          {"weight_bytes", engine_.model().weight_bytes()},
          {"generate", engine_.default_settings().to_json()}};
}

}  // namespace vl3::capi
