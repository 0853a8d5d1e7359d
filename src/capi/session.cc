#include "capi/session.h"

#include <algorithm>

#include "base/check.h"
#include "capi/json_text.h"

namespace vl3::capi {
namespace {

constexpr const char* kCancelledWords = "[request] cancelled";

// Cancelled before there was anything to tell.
bool nothing_came(const Answers& answers) {
  return std::all_of(answers.results.begin(), answers.results.end(), [](const GenerationResult& result) {
    return result.finish_reason == FinishReason::kCancelled && result.new_ids.empty();
  });
}

}  // namespace

Session::Session(std::string folder, const EngineOptions& engine, ContextOptions context)
    : folder_(std::move(folder)), engine_(Engine::open(folder_, engine)), context_(std::move(context)) {
  thread_ = std::thread([this] { work(); });
}

Session::~Session() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& request : waiting_)
      request->fail(std::make_exception_ptr(Error(ErrorCode::kCancelled, kCancelledWords)));
    waiting_.clear();
    if (current_ != nullptr) context_.cancel();
  }
  wake_.notify_all();
  thread_.join();
}

std::shared_ptr<Request> Session::submit(const Json& request) {
  auto made = std::make_shared<Request>(parse_answer_request(engine_, request, "request"));
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(made);
  }
  wake_.notify_all();
  return made;
}

void Session::cancel(Request& request) {
  const std::lock_guard lock(mutex_);
  request.ask_to_cancel();
  if (current_ == &request) context_.cancel();
  const auto waits = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const auto& other) { return other.get() == &request; });
  if (waits == waiting_.end()) return;
  request.fail(std::make_exception_ptr(Error(ErrorCode::kCancelled, kCancelledWords)));
  waiting_.erase(waits);
}

void Session::work() {
  for (;;) {
    std::shared_ptr<Request> next;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
      context_.clear_cancel();
      current_ = next.get();
    }
    try {
      answer(*next);
    } catch (...) {
      next->fail(std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    current_ = nullptr;
  }
}

void Session::answer(Request& request) {
  GenerationHooks hooks;
  hooks.on_token = [&request](const StreamEvent& event) {
    request.tell(event);
    return !request.cancel_asked();
  };
  Probe probe;
  probe.progress = [&request](std::string_view stage, int64_t done, int64_t total) {
    request.tell_progress(stage, done, total);
  };
  const AnswerRequest& asked = request.asked();
  const Answers answers = engine_.answer(context_, asked.request, asked.settings, hooks, &probe);
  require(!nothing_came(answers), ErrorCode::kCancelled, "{}", kCancelledWords);
  request.finish(answers_text(answers));
}

Json Session::describe() const {
  return {{"folder", folder_},
          {"context_tokens", engine_.model().config().text.max_position_embeddings},
          {"weight_bytes", engine_.model().weight_bytes()},
          {"generate", engine_.default_settings().to_json()}};
}

}  // namespace vl3::capi
