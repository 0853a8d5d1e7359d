#include "serve/token_routes.h"

#include <fmt/format.h>

#include <algorithm>

#include "serve/conversation.h"

namespace vl3::serve {
namespace {

std::vector<int64_t> ids_of_messages(Service& service, const FieldReader& fields, const std::string& client,
                                     const std::function<bool()>& cancelled) {
  const Processor& processor = service.engine.processor();
  const MediaLimits& limits = service.engine.options().limits;
  const Conversation conversation =
      read_conversation(fields, *fields.find("messages"), "messages", processor);
  return count_prompt(processor,
                      fetch_media(conversation, processor, limits, service.intake, {client, cancelled}),
                      limits, cancelled);
}

}  // namespace

Json tokenize(Service& service, const Json& body, const std::string& client,
              const std::function<bool()>& cancelled) {
  const FieldReader fields(body);
  service.options.models.find(fields.text("model"));
  const Tokenizer& tokenizer = service.engine.processor().tokenizer();
  const char* source = nullptr;
  for (const char* key : {"messages", "prompt", "content"}) {
    if (!fields.has(key)) continue;
    if (source != nullptr) refuse(key, fmt::format("There are both \"{}\" and \"{}\".", key, source));
    source = key;
  }
  if (source == nullptr)
    refuse("content", "\"content\" (or \"prompt\", or \"messages\") is missing.", "missing_field");
  const std::vector<int64_t> ids = source == std::string_view("messages")
                                       ? ids_of_messages(service, fields, client, cancelled)
                                       : tokenizer.encode(*fields.text(source), false);
  Json reply = {{"tokens", ids}, {"count", ids.size()}, {"max_model_len", service.context_tokens()}};
  if (fields.boolean("return_token_strs").value_or(false)) {
    Json texts = Json::array();
    for (const int64_t id : ids) texts.push_back(tokenizer.decode(std::span(&id, 1)));
    reply["token_strs"] = std::move(texts);
  }
  return reply;
}

Json detokenize(const Service& service, const Json& body) {
  const FieldReader fields(body);
  service.options.models.find(fields.text("model"));
  const Tokenizer& tokenizer = service.engine.processor().tokenizer();
  if (!fields.has("tokens")) refuse("tokens", "\"tokens\" is missing.", "missing_field");
  constexpr size_t kMostTokens = size_t{1} << 22;
  const int64_t vocab_size =
      std::max(tokenizer.vocab_size(), service.engine.model().config().text.vocab_size);
  const std::string text = tokenizer.decode(fields.ids("tokens", vocab_size, kMostTokens));
  return {{"content", text}, {"prompt", text}};
}

Json input_tokens(Service& service, const Json& body, const std::string& client,
                  const std::function<bool()>& cancelled) {
  const FieldReader fields(body);
  service.options.models.find(fields.text("model"));
  if (!fields.has("messages")) refuse("messages", "\"messages\" is missing.", "missing_field");
  const auto count = ids_of_messages(service, fields, client, cancelled).size();
  return {{"object", "chat.completion.input_tokens"}, {"input_tokens", count}};
}

}  // namespace vl3::serve
