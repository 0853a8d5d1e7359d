#include "serve/completion_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

namespace vl3::serve {
namespace {

int64_t characters_of(std::string_view utf8) {
  return std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

}  // namespace

std::string token_name(const Tokenizer& tokenizer, int64_t id) {
  const std::string_view bytes = tokenizer.token_bytes(id);
  const std::string text = tokenizer.decode(std::span(&id, 1));
  if (text == bytes) return text;
  std::string name = "bytes:";
  for (const char byte : bytes) name += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
  return name;
}

CompletionFormat::CompletionFormat(std::string id, int64_t created, RequestFields fields,
                                   const Tokenizer& tokenizer, std::shared_ptr<const CompletionShape> shape)
    : id_(std::move(id)),
      created_(created),
      fields_(std::move(fields)),
      tokenizer_(tokenizer),
      shape_(std::move(shape)) {}

const EchoedPrompt* CompletionFormat::echoed(int64_t index) const {
  const auto prompt = static_cast<size_t>(index / shape_->n);
  return prompt < shape_->prompts.size() ? &shape_->prompts[prompt] : nullptr;
}

// characters: before these tokens; then behind them.
Json CompletionFormat::logprobs_of(const std::vector<TokenLogprob>& tokens, const EchoedPrompt* prompt,
                                   int64_t& characters) const {
  Json names = Json::array(), values = Json::array(), tops = Json::array(), offsets = Json::array();
  const auto add = [&](int64_t id, const TokenLogprob* token) {
    names.push_back(token_name(tokenizer_, id));
    offsets.push_back(characters);
    if (!tokenizer_.is_special(id)) characters += characters_of(tokenizer_.token_bytes(id));
    if (token == nullptr) {
      values.push_back(nullptr);
      tops.push_back(nullptr);
      return;
    }
    values.push_back(token->logprob);
    Json top = Json::object();
    for (const auto& [other, logprob] : token->top) {
      if (static_cast<int64_t>(top.size()) == *shape_->logprobs) break;
      top[token_name(tokenizer_, other)] = logprob;
    }
    top[token_name(tokenizer_, id)] = token->logprob;
    tops.push_back(std::move(top));
  };
  if (prompt != nullptr) {
    add(prompt->first, nullptr);
    for (const TokenLogprob& token : prompt->logprobs) add(token.id, &token);
  }
  for (const TokenLogprob& token : tokens) add(token.id, &token);
  return {{"tokens", std::move(names)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

Json CompletionFormat::whole(const AnswerOutcome& outcome) const {
  Json choices = Json::array();
  for (const Choice& choice : outcome.choices) {
    const EchoedPrompt* prompt = echoed(choice.index);
    Json logprobs = nullptr;
    int64_t characters = 0;
    if (shape_->logprobs) logprobs = logprobs_of(choice.result.logprobs, prompt, characters);
    choices.push_back({{"index", choice.index},
                       {"text", (prompt == nullptr ? "" : prompt->text) + choice.text},
                       {"logprobs", std::move(logprobs)},
                       {"finish_reason", choice.finish_reason},
                       {"stop_reason", choice.stop_reason}});
  }
  Json body = {{"id", id_},
               {"object", "text_completion"},
               {"created", created_},
               {"model", fields_.model.name},
               {"choices", std::move(choices)},
               {"usage", outcome.usage.to_json()}};
  if (fields_.timings) body["timings"] = outcome.timings;
  return body;
}

Json CompletionFormat::chunk() const {
  Json chunk = {{"id", id_},
                {"object", "text_completion"},
                {"created", created_},
                {"model", fields_.model.name},
                {"choices", Json::array()}};
  if (fields_.include_usage) chunk["usage"] = nullptr;
  return chunk;
}

void CompletionFormat::append_choice(int64_t index, const std::string& text, Json logprobs,
                                     const Json& finish_reason, const Json& stop_reason,
                                     std::string& out) const {
  Json event = chunk();
  Json choice = {
      {"index", index}, {"text", text}, {"logprobs", std::move(logprobs)}, {"finish_reason", finish_reason}};
  if (!finish_reason.is_null()) choice["stop_reason"] = stop_reason;
  event["choices"].push_back(std::move(choice));
  append_event(event, out);
}

void CompletionFormat::begin(std::string&) {}

// A choice begins with its prompt, where that is echoed.
CompletionFormat::Sent& CompletionFormat::begin_choice(int64_t index, std::string& out) {
  Sent& sent = sent_[index];
  if (std::exchange(sent.begun, true)) return sent;
  if (const EchoedPrompt* prompt = echoed(index)) {
    Json logprobs = nullptr;
    if (shape_->logprobs) logprobs = logprobs_of({}, prompt, sent.characters);
    append_choice(index, prompt->text, std::move(logprobs), nullptr, nullptr, out);
  }
  return sent;
}

void CompletionFormat::token(int64_t index, const StreamEvent& event, std::string& out) {
  Sent& sent = begin_choice(index, out);
  Json logprobs = nullptr;
  if (shape_->logprobs && event.logprob != nullptr)
    logprobs = logprobs_of({*event.logprob}, nullptr, sent.characters);
  if (event.text.empty() && logprobs.is_null()) return;
  sent.bytes += event.text.size();
  append_choice(index, std::string(event.text), std::move(logprobs), nullptr, nullptr, out);
}

void CompletionFormat::progress(std::string_view stage, int64_t done, int64_t total, std::string& out) {
  Json event = chunk();
  event["prompt_progress"] = {{"stage", stage}, {"total", total}, {"processed", done}};
  append_event(event, out);
}

void CompletionFormat::finish(const AnswerOutcome& outcome, std::string& out) {
  for (const Choice& choice : outcome.choices) {
    const size_t sent = std::min(begin_choice(choice.index, out).bytes, choice.text.size());
    append_choice(choice.index, choice.text.substr(sent), nullptr, choice.finish_reason, choice.stop_reason,
                  out);
  }
  if (fields_.include_usage || fields_.timings) {
    Json last = chunk();
    if (fields_.include_usage) last["usage"] = outcome.usage.to_json();
    if (fields_.timings) last["timings"] = outcome.timings;
    append_event(last, out);
  }
  out += "data: [DONE]\n\n";
}

void CompletionFormat::fail(const ApiError& error, std::string& out) {
  append_event(error_json(error), out);
  out += "data: [DONE]\n\n";
}

}  // namespace vl3::serve
