#include "serve/responses.h"

#include <fmt/format.h>

#include "serve/chat_request.h"
#include "serve/conversation.h"

namespace vl3::serve {
namespace {

// What a response says back of its request.
struct Told {
  Json instructions, max_output_tokens, temperature, top_p, metadata;
  std::optional<int64_t> top_logprobs;
};

class ResponseFormat final : public AnswerFormat {
 public:
  ResponseFormat(int64_t created, RequestFields fields, const Tokenizer& tokenizer, Told told)
      : id_("resp_" + random_hex(24)),
        message_id_("msg_" + random_hex(24)),
        created_(created),
        fields_(std::move(fields)),
        tokenizer_(tokenizer),
        told_(std::move(told)) {}

  Json whole(const AnswerOutcome& outcome) const override {
    const Choice& choice = outcome.choices[0];
    const bool complete = choice.finish_reason == "stop";
    Json body = response(complete ? "completed" : "incomplete");
    if (!complete)
      body["incomplete_details"] = {
          {"reason", choice.finish_reason == "length" ? "max_output_tokens" : "deadline"}};
    body["output"] = Json::array({message(choice, complete ? "completed" : "incomplete")});
    const Usage& usage = outcome.usage;
    body["usage"] = {{"input_tokens", usage.prompt_tokens},
                     {"input_tokens_details",
                      {{"cached_tokens", usage.cached_tokens},
                       {"image_tokens", usage.image_tokens},
                       {"video_tokens", usage.video_tokens}}},
                     {"output_tokens", usage.completion_tokens},
                     {"output_tokens_details", {{"reasoning_tokens", 0}}},
                     {"total_tokens", usage.total_tokens()}};
    if (fields_.media_report) body["media_report"] = outcome.media_report;
    if (fields_.timings) body["timings"] = outcome.timings;
    return body;
  }

  void begin(std::string& out) override {
    append("response.created", {{"response", response("in_progress")}}, out);
    append("response.in_progress", {{"response", response("in_progress")}}, out);
    Json item = {{"id", message_id_},
                 {"type", "message"},
                 {"status", "in_progress"},
                 {"role", "assistant"},
                 {"content", Json::array()}};
    append("response.output_item.added", {{"output_index", 0}, {"item", std::move(item)}}, out);
    append("response.content_part.added", in_part({{"part", part("", Json::array())}}), out);
  }

  void token(int64_t, const StreamEvent& event, std::string& out) override {
    Json logprobs = Json::array();
    if (told_.top_logprobs && event.logprob != nullptr)
      logprobs.push_back(chat_logprob(tokenizer_, *event.logprob, *told_.top_logprobs));
    if (event.text.empty() && logprobs.empty()) return;
    sent_ += event.text.size();
    append_delta(std::string(event.text), std::move(logprobs), out);
  }

  void progress(std::string_view stage, int64_t done, int64_t total, std::string& out) override {
    append("response.in_progress",
           {{"response", response("in_progress")},
            {"prompt_progress", {{"stage", stage}, {"total", total}, {"processed", done}}}},
           out);
  }

  void finish(const AnswerOutcome& outcome, std::string& out) override {
    const Choice& choice = outcome.choices[0];
    if (sent_ < choice.text.size()) append_delta(choice.text.substr(sent_), Json::array(), out);
    const Json body = whole(outcome);
    const Json& item = body["output"][0];
    const Json& content = item["content"][0];
    append("response.output_text.done", in_part({{"text", choice.text}, {"logprobs", content["logprobs"]}}),
           out);
    append("response.content_part.done", in_part({{"part", content}}), out);
    append("response.output_item.done", {{"output_index", 0}, {"item", item}}, out);
    append("response." + body["status"].get<std::string>(), {{"response", body}}, out);
  }

  void fail(const ApiError& error, std::string& out) override {
    append("error", {{"code", error.code}, {"message", error.what()}, {"param", error.param}}, out);
    Json body = response("failed");
    body["error"] = {{"code", error.code}, {"message", error.what()}};
    append("response.failed", {{"response", std::move(body)}}, out);
  }

 private:
  Json response(const std::string& status) const {
    return {{"id", id_},
            {"object", "response"},
            {"created_at", created_},
            {"status", status},
            {"error", nullptr},
            {"incomplete_details", nullptr},
            {"instructions", told_.instructions},
            {"max_output_tokens", told_.max_output_tokens},
            {"model", fields_.model.name},
            {"output", Json::array()},
            {"parallel_tool_calls", true},
            {"previous_response_id", nullptr},
            {"store", false},
            {"temperature", told_.temperature},
            {"text", {{"format", {{"type", "text"}}}}},
            {"tool_choice", "auto"},
            {"tools", Json::array()},
            {"top_p", told_.top_p},
            {"truncation", "disabled"},
            {"usage", nullptr},
            {"metadata", told_.metadata}};
  }

  static Json part(const std::string& text, Json logprobs) {
    return {{"type", "output_text"},
            {"text", text},
            {"annotations", Json::array()},
            {"logprobs", std::move(logprobs)}};
  }

  Json message(const Choice& choice, const std::string& status) const {
    Json logprobs = Json::array();
    if (told_.top_logprobs) {
      for (const TokenLogprob& token : choice.result.logprobs)
        logprobs.push_back(chat_logprob(tokenizer_, token, *told_.top_logprobs));
    }
    return {{"id", message_id_},
            {"type", "message"},
            {"status", status},
            {"role", "assistant"},
            {"content", Json::array({part(choice.text, std::move(logprobs))})}};
  }

  Json in_part(Json event) const {
    event["item_id"] = message_id_;
    event["output_index"] = 0;
    event["content_index"] = 0;
    return event;
  }

  void append_delta(const std::string& text, Json logprobs, std::string& out) {
    append("response.output_text.delta", in_part({{"delta", text}, {"logprobs", std::move(logprobs)}}), out);
  }

  void append(const std::string& type, Json event, std::string& out) {
    event["type"] = type;
    event["sequence_number"] = sequence_++;
    out += "event: " + type + "\n";
    append_event(event, out);
  }

  const std::string id_, message_id_;
  const int64_t created_;
  const RequestFields fields_;
  const Tokenizer tokenizer_;
  const Told told_;
  size_t sent_ = 0;
  int64_t sequence_ = 0;
};

// "input" as messages: a text is a user's; items are messages, with their type or without.
Json messages_of(const FieldReader& fields) {
  const Json* input = fields.find("input");
  if (input == nullptr) refuse("input", "\"input\" is missing.", "missing_field");
  Json messages = Json::array();
  if (input->is_string()) {
    messages.push_back({{"role", "user"}, {"content", *input}});
    return messages;
  }
  if (!input->is_array() || input->empty()) fields.wrong("input", "a text or a list of messages");
  for (size_t i = 0; i < input->size(); ++i) {
    const FieldReader item((*input)[i], fmt::format("input[{}]", i));
    const auto type = item.text("type");
    if (type && *type != "message")
      refuse(
          item.param_of("type"),
          fmt::format("\"{}\" is {}; items are messages.", item.param_of("type"), shown(*item.find("type"))),
          "unsupported");
    messages.push_back((*input)[i]);
  }
  return messages;
}

// Before everything in "input", where messages have been read at their places.
void put_first(const std::string& instructions, Conversation& conversation) {
  Json& messages = conversation.read.messages;
  messages.insert(messages.begin(), Json{{"role", "system"}, {"content", instructions}});
  for (MediaSlot& slot : conversation.read.media) ++slot.message;
}

void refuse_stored(const FieldReader& fields) {
  for (const char* key : {"previous_response_id", "conversation", "prompt"}) {
    if (fields.has(key))
      refuse(key, fmt::format("\"{}\" is not done: nothing is stored here.", key), "unsupported");
  }
  if (fields.boolean("background").value_or(false))
    refuse("background", "\"background\" is not done: nothing is stored here.", "unsupported");
  const auto truncation = fields.text("truncation");
  if (truncation && *truncation != "disabled")
    refuse("truncation", "\"truncation\" should be disabled: prompts are not cut.", "unsupported");
}

}  // namespace

AnswerSetup responses_setup(Service& service, const Json& body, const std::string& client) {
  const FieldReader fields(body);
  AnswerSetup setup;
  setup.fields = read_request_fields(fields, service.options.models, client);
  refuse_unsupported(fields);
  refuse_echo(fields);
  refuse_stored(fields);
  setup.sampling = read_sampling(fields, service.sampling_source(),
                                 {"max_output_tokens", "max_completion_tokens", "max_tokens"});
  if (setup.sampling.n > 1) refuse("n", "A response has one answer: \"n\" should be 1.");
  Told told;
  constexpr int64_t kMostAlternatives = 20;
  told.top_logprobs = fields.integer("top_logprobs", 0, kMostAlternatives);
  if (told.top_logprobs == 0) told.top_logprobs.reset();
  if (const Json* include = fields.find("include"); include != nullptr && include->is_array()) {
    for (const Json& wanted : *include) {
      if (wanted == "message.output_text.logprobs" && !told.top_logprobs) told.top_logprobs = 0;
    }
  }
  if (told.top_logprobs) setup.sampling.settings.logprobs = *told.top_logprobs;
  const auto said = [&](const char* key) { return fields.has(key) ? *fields.find(key) : Json(nullptr); };
  told.instructions = said("instructions");
  told.max_output_tokens = said("max_output_tokens");
  told.temperature = said("temperature");
  told.top_p = said("top_p");
  told.metadata = fields.has("metadata") ? said("metadata") : Json::object();
  const Json messages = messages_of(fields);
  Conversation conversation = read_conversation(fields, messages, "input", service.engine.processor());
  if (const auto instructions = fields.text("instructions"); instructions && !instructions->empty())
    put_first(*instructions, conversation);
  setup.structured = read_structured(fields);
  setup.slow = !conversation.read.media.empty() || !setup.structured.spec.is_null();
  setup.options = scheduling_of(setup.fields, client, service.options.deadline_s);
  setup.format = std::make_unique<ResponseFormat>(unix_time(), setup.fields,
                                                  service.engine.processor().tokenizer(), std::move(told));
  setup.prepare = preparing(service, std::move(conversation), client);
  return setup;
}

}  // namespace vl3::serve
