#include "serve/completion_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/hidden_work.h"
#include "serve/chat_request.h"
#include "serve/completion_format.h"

namespace vl3::serve {
namespace {

constexpr size_t kMostPrompts = 256;
constexpr int64_t kUsualTokens = 16, kMostLogprobs = 20;

std::vector<int64_t> read_ids(const Service& service, const Json& list, const std::string& param) {
  std::vector<int64_t> ids;
  const int64_t vocab_size = service.engine.model().config().text.vocab_size;
  const Processor& processor = service.engine.processor();
  for (const Json& entry : list) {
    const bool good = entry.is_number_unsigned() && entry.get<uint64_t>() < static_cast<uint64_t>(vocab_size);
    if (!good)
      refuse(param, fmt::format("\"{}\" holds {}, which is not a token id from 0 to {}.", param, shown(entry),
                                vocab_size - 1));
    ids.push_back(entry.get<int64_t>());
    if (ids.back() == processor.image_token_id() || ids.back() == processor.video_token_id())
      refuse(param,
             fmt::format("\"{}\" holds {}, which stands for a part of a picture or clip; there is none.",
                         param, ids.back()));
  }
  return ids;
}

std::vector<int64_t> read_prompt(const Service& service, const Json& prompt, const std::string& param) {
  std::vector<int64_t> ids;
  if (prompt.is_string())
    ids = service.engine.processor().tokenizer().encode(prompt.get_ref<const std::string&>(), false);
  else if (prompt.is_array())
    ids = read_ids(service, prompt, param);
  else
    refuse(param,
           fmt::format("\"{}\" should be a text or a list of token ids, not {}.", param, shown(prompt)));
  if (ids.empty()) refuse(param, fmt::format("\"{}\" has no tokens.", param));
  return ids;
}

bool is_text_or_list(const Json& value) { return value.is_string() || value.is_array(); }

// What is given back of the prompts, with their log-probabilities where these are wanted too.
std::vector<EchoedPrompt> echo(Service& service, const Json& given,
                               const std::vector<std::vector<int64_t>>& ids, std::optional<int64_t> logprobs,
                               const Cancelled& cancelled) {
  const bool several = given.is_array() && is_text_or_list(given[0]);
  std::vector<EchoedPrompt> prompts;
  for (size_t i = 0; i < ids.size(); ++i) {
    const Json& own = several ? given[i] : given;
    EchoedPrompt prompt;
    prompt.text =
        own.is_string() ? own.get<std::string>() : service.engine.processor().tokenizer().decode(ids[i]);
    prompt.first = ids[i][0];
    if (logprobs) prompt.logprobs = prompt_logprobs(service.thread, ids[i], *logprobs, cancelled);
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

void refuse_foreign(const FieldReader& fields) {
  refuse_unsupported(fields);
  const auto suffix = fields.text("suffix");
  if (suffix && !suffix->empty()) refuse("suffix", "\"suffix\" is not done here.", "unsupported");
}

}  // namespace

std::vector<std::vector<int64_t>> read_prompts(const Service& service, const FieldReader& fields,
                                               const std::string& param, size_t most) {
  const Json* value = fields.find(param);
  if (value == nullptr) refuse(param, fmt::format("\"{}\" is missing.", param), "missing_field");
  if (!is_text_or_list(*value) || (value->is_array() && value->empty()))
    fields.wrong(param, "a text, a list of texts, or token ids");
  if (value->is_string() || !is_text_or_list((*value)[0])) return {read_prompt(service, *value, param)};
  if (value->size() > most)
    refuse(param, fmt::format("\"{}\" has {} entries; {} are the most.", param, value->size(), most));
  std::vector<std::vector<int64_t>> prompts;
  for (size_t i = 0; i < value->size(); ++i)
    prompts.push_back(read_prompt(service, (*value)[i], fmt::format("{}[{}]", param, i)));
  return prompts;
}

AnswerSetup completion_setup(Service& service, const Json& body, const std::string& client) {
  const FieldReader fields(body);
  AnswerSetup setup;
  setup.fields = read_request_fields(fields, service.options.models, client);
  refuse_foreign(fields);
  const auto prompts = std::make_shared<const std::vector<std::vector<int64_t>>>(
      read_prompts(service, fields, "prompt", kMostPrompts));
  setup.sampling =
      read_sampling(fields, service.sampling_source(), {"max_completion_tokens", "max_tokens"}, 0);
  Sampling& sampling = setup.sampling;
  const bool echoes = fields.boolean("echo").value_or(false);
  const auto shape = std::make_shared<CompletionShape>();
  shape->n = sampling.n;
  shape->logprobs = fields.integer("logprobs", 0, kMostLogprobs);
  setup.prompts_alone = sampling.max_tokens == 0;
  if (setup.prompts_alone && !echoes) refuse("max_tokens", "\"max_tokens\" is 0, and \"echo\" is not true.");
  if (!sampling.max_tokens) sampling.settings.max_new_tokens = sampling.max_tokens = kUsualTokens;
  if (sampling.best_of > sampling.n) {
    if (setup.fields.stream) refuse("best_of", "\"best_of\" above \"n\" does not go with \"stream\".");
    sampling.settings.logprobs = 0;
  }
  if (shape->logprobs) sampling.settings.logprobs = *shape->logprobs;
  if (echoes && shape->logprobs && setup.fields.model.adapter >= 0)
    refuse("echo", "\"echo\" with \"logprobs\" is not done for adapters.", "unsupported");
  setup.options = scheduling_of(setup.fields, client, service.options.deadline_s);
  setup.structured = read_structured(fields);
  setup.slow = (echoes && shape->logprobs) || !setup.structured.spec.is_null();  // it waits for the engine
  setup.format = std::make_unique<CompletionFormat>("cmpl-" + random_hex(24), unix_time(), setup.fields,
                                                    service.engine.processor().tokenizer(), shape);
  setup.prepare = [&service, prompts, shape, echoes,
                   given = Json(*fields.find("prompt"))](const Cancelled& cancelled) -> Prompted {
    if (echoes) shape->prompts = echo(service, given, *prompts, shape->logprobs, cancelled);
    ForwardInput input;
    input.ids = *prompts;
    return input;
  };
  return setup;
}

}  // namespace vl3::serve
