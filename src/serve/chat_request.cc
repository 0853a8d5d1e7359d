#include "serve/chat_request.h"

#include <fmt/format.h>

#include <memory>

#include "base/says_nothing.h"
#include "serve/chat_format.h"
#include "serve/message_parts.h"

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

namespace {

// What is not done here, though the answer would be another, and what there is instead.
struct Unsupported {
  const char* key;
  const char* instead;
};
constexpr Unsupported kUnsupported[] = {
    {"prompt_logprobs", "\"echo\" with \"logprobs\" of /v1/completions gives a prompt's log-probabilities"},
    {"truncate_prompt_tokens", "prompts are not cut"},
    {"prompt_embeds", "prompts are texts, token ids and messages"},
    {"grammar", "\"regex\" and \"json_schema\" say what form an answer has"},
    {"ebnf", "\"regex\" and \"json_schema\" say what form an answer has"},
    {"structural_tag", "\"regex\" and \"json_schema\" say what form an answer has"},
    {"logits_processors", "\"logit_bias\", \"allowed_token_ids\" and \"bad_words\" say which tokens come"},
    {"return_token_ids", "/tokenize gives the ids of a text"},
    {"functions", "\"tools\" has functions, where the model calls any"},
    {"audio", "answers are texts"},
    {"modalities", "answers are texts"}};

// Also where it is what is done here anyway.
bool asks_nothing(const std::string& key, const Json& value) {
  return says_nothing(value) || value == false || (key == "modalities" && value == Json::array({"text"}));
}

}  // namespace

void refuse_unsupported(const FieldReader& fields) {
  for (const auto& [key, instead] : kUnsupported) {
    const Json* value = fields.find(key);
    if (value != nullptr && !asks_nothing(key, *value))
      refuse(key, fmt::format("\"{}\" is not done here: {}.", key, instead), "unsupported");
  }
  const Json* call = fields.find("function_call");
  if (call != nullptr && *call != "none" && *call != "auto")
    refuse("function_call", "\"function_call\" is not done here: \"tool_choice\" goes with \"tools\".",
           "unsupported");
  for (const auto& [key, value] : fields.json().items()) {
    if (is_medium_key(key) && !says_nothing(value))
      refuse(key, fmt::format("\"{}\" is not read here: a medium is a part of a message's \"content\".", key),
             "unsupported");
  }
}

void refuse_echo(const FieldReader& fields) {
  if (fields.boolean("echo").value_or(false))
    refuse("echo", "\"echo\" is of /v1/completions alone: a conversation is not given back.", "unsupported");
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
  refuse_echo(fields);
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
