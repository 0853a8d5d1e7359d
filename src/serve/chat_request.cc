#include "serve/chat_request.h"

#include <fmt/format.h>

#include <memory>

#include "serve/chat_format.h"

namespace vl3::serve {

std::optional<int64_t> read_chat_logprobs(const FieldReader& fields) {
  constexpr int64_t kMostAlternatives = 20;
  const bool wanted = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, kMostAlternatives);
  if (top.value_or(0) > 0 && !wanted)
    refuse("top_logprobs", "\"top_logprobs\" goes with \"logprobs\": true alone.");
  if (!wanted) return std::nullopt;
  return top.value_or(0);
}

void refuse_unsupported(const FieldReader& fields) {
  for (const char* key : {"prompt_logprobs", "truncate_prompt_tokens", "grammar", "logits_processors"}) {
    if (fields.has(key)) refuse(key, fmt::format("\"{}\" is not done here.", key), "unsupported");
  }
  for (const char* key : {"functions", "modalities"}) {
    const Json* value = fields.find(key);
    if (value == nullptr || !value->is_array()) continue;
    for (const Json& entry : *value) {
      if (entry != "text") refuse(key, fmt::format("\"{}\" is not done here.", key), "unsupported");
    }
  }
}

std::function<Prompted(const std::function<bool()>&)> preparing(Service& service, Conversation conversation,
                                                                std::string client) {
  return [&service, client = std::move(client),
          shared = std::make_shared<const Conversation>(std::move(conversation))](
             const std::function<bool()>& cancelled) -> Prompted {
    return fetch_media(*shared, service.engine.processor(), service.engine.options().limits, service.intake,
                       {client, cancelled});
  };
}

AnswerSetup chat_setup(Service& service, const Json& body, const std::string& client) {
  const FieldReader fields(body);
  AnswerSetup setup;
  setup.fields = read_request_fields(fields, service.options.models, client);
  refuse_unsupported(fields);
  if (!fields.has("messages"))
    refuse("messages", "\"messages\" should be a list of messages; it is missing.", "missing_field");
  setup.sampling = read_sampling(fields, service.sampling_source(), {"max_completion_tokens", "max_tokens"});
  Sampling& sampling = setup.sampling;
  const auto top_logprobs = read_chat_logprobs(fields);
  if (sampling.best_of > sampling.n) {
    if (setup.fields.stream) refuse("best_of", "\"best_of\" above \"n\" does not go with \"stream\".");
    sampling.settings.logprobs = 0;  // the best are picked by them
  }
  if (top_logprobs) sampling.settings.logprobs = *top_logprobs;
  Conversation conversation =
      read_conversation(fields, *fields.find("messages"), "messages", service.engine.processor());
  setup.structured = read_structured(fields);
  setup.slow = !conversation.read.media.empty() || !setup.structured.spec.is_null();
  setup.options = scheduling_of(setup.fields, client, service.options.deadline_s);
  setup.format =
      std::make_unique<ChatFormat>("chatcmpl-" + random_hex(24), unix_time(), setup.fields, sampling.n,
                                   service.engine.processor().tokenizer(), top_logprobs);
  setup.prepare = preparing(service, std::move(conversation), client);
  return setup;
}

}  // namespace vl3::serve
