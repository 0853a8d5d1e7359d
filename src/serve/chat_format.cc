#include "serve/chat_format.h"

namespace vl3::serve {

ChatFormat::ChatFormat(std::string id, int64_t created, RequestFields fields, int64_t n,
                       const Tokenizer& tokenizer, std::optional<int64_t> top_logprobs)
    : id_(std::move(id)),
      created_(created),
      fields_(std::move(fields)),
      n_(n),
      tokenizer_(tokenizer),
      top_logprobs_(top_logprobs),
      sent_(static_cast<size_t>(n)) {}

Json ChatFormat::whole(const AnswerOutcome& outcome) const {
  Json choices = Json::array();
  for (const Choice& choice : outcome.choices) {
    Json logprobs = nullptr;
    if (top_logprobs_) {
      Json content = Json::array();
      for (const TokenLogprob& token : choice.result.logprobs)
        content.push_back(chat_logprob(tokenizer_, token, *top_logprobs_));
      logprobs = {{"content", std::move(content)}, {"refusal", nullptr}};
    }
    choices.push_back({{"index", choice.index},
                       {"message", {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}}},
                       {"logprobs", std::move(logprobs)},
                       {"finish_reason", choice.finish_reason},
                       {"stop_reason", choice.stop_reason}});
  }
  Json body = {{"id", id_},
               {"object", "chat.completion"},
               {"created", created_},
               {"model", fields_.model.name},
               {"system_fingerprint", nullptr},
               {"choices", std::move(choices)},
               {"usage", outcome.usage.to_json()}};
  if (fields_.media_report) body["media_report"] = outcome.media_report;
  if (fields_.timings) body["timings"] = outcome.timings;
  return body;
}

Json ChatFormat::chunk() const {
  Json chunk = {{"id", id_},
                {"object", "chat.completion.chunk"},
                {"created", created_},
                {"model", fields_.model.name},
                {"system_fingerprint", nullptr},
                {"choices", Json::array()}};
  if (fields_.include_usage) chunk["usage"] = nullptr;
  return chunk;
}

void ChatFormat::append_choice(int64_t index, Json delta, Json logprobs, const Json& finish_reason,
                               const Json& stop_reason, std::string& out) const {
  Json event = chunk();
  Json choice = {{"index", index},
                 {"delta", std::move(delta)},
                 {"logprobs", std::move(logprobs)},
                 {"finish_reason", finish_reason}};
  if (!finish_reason.is_null()) choice["stop_reason"] = stop_reason;
  event["choices"].push_back(std::move(choice));
  append_event(event, out);
}

void ChatFormat::begin(std::string& out) {
  for (int64_t i = 0; i < n_; ++i)
    append_choice(i, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr, nullptr, out);
}

void ChatFormat::token(int64_t index, const StreamEvent& event, std::string& out) {
  Json logprobs = nullptr;
  if (top_logprobs_ && event.logprob != nullptr)
    logprobs = {{"content", Json::array({chat_logprob(tokenizer_, *event.logprob, *top_logprobs_)})},
                {"refusal", nullptr}};
  if (event.text.empty() && logprobs.is_null()) return;
  sent_[static_cast<size_t>(index)] += event.text.size();
  append_choice(index, {{"content", event.text}}, std::move(logprobs), nullptr, nullptr, out);
}

void ChatFormat::progress(std::string_view stage, int64_t done, int64_t total, std::string& out) {
  Json event = chunk();
  event["choices"].push_back(
      {{"index", 0}, {"delta", Json::object()}, {"logprobs", nullptr}, {"finish_reason", nullptr}});
  event["prompt_progress"] = {{"stage", stage}, {"total", total}, {"processed", done}};
  append_event(event, out);
}

void ChatFormat::finish(const AnswerOutcome& outcome, std::string& out) {
  for (const Choice& choice : outcome.choices) {
    const size_t sent = sent_[static_cast<size_t>(choice.index)];
    if (sent < choice.text.size())
      append_choice(choice.index, {{"content", choice.text.substr(sent)}}, nullptr, nullptr, nullptr, out);
    append_choice(choice.index, Json::object(), nullptr, choice.finish_reason, choice.stop_reason, out);
  }
  if (fields_.include_usage || fields_.media_report || fields_.timings) {
    Json last = chunk();
    if (fields_.include_usage) last["usage"] = outcome.usage.to_json();
    if (fields_.media_report) last["media_report"] = outcome.media_report;
    if (fields_.timings) last["timings"] = outcome.timings;
    append_event(last, out);
  }
  out += "data: [DONE]\n\n";
}

void ChatFormat::fail(const ApiError& error, std::string& out) {
  append_event(error_json(error), out);
  out += "data: [DONE]\n\n";
}

}  // namespace vl3::serve
