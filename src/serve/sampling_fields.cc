#include "serve/sampling_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace vl3::serve {
namespace {

constexpr int64_t kMostTokens = std::numeric_limits<int32_t>::max();
constexpr size_t kMostStops = 64, kMostStopBytes = 1024, kMostStopIds = 256, kMostBias = 1024,
                 kMostBadWords = 256, kMostAllowed = 65536;

// What is drawn from, where anything is. Without a temperature the checkpoint says whether, unless a field
// says something that only a draw can heed.
void read_draw(const FieldReader& fields, GenerationConfig& settings) {
  const auto temperature = fields.number("temperature", 0, 2);
  const auto top_p = fields.number("top_p", 0, 1, true);
  const auto top_k = fields.integer("top_k", -1, kMostTokens);
  const auto min_p = fields.number("min_p", 0, 1);
  const auto typical_p = fields.number("typical_p", 0, 1, true);
  if (temperature) {
    settings.do_sample = *temperature > 0;
    settings.temperature = *temperature;
  } else if (top_p.value_or(1) < 1 || top_k.value_or(0) > 0 || min_p.value_or(0) > 0) {
    settings.do_sample = true;
  }
  if (top_p) settings.top_p = *top_p;
  if (top_k) settings.top_k = *top_k;
  if (min_p) settings.min_p = min_p;
  if (typical_p) settings.typical_p = *typical_p;
  if (const Json* seed = fields.find("seed")) {
    if (!seed->is_number_integer()) fields.wrong("seed", "an integer");
    settings.seed =
        seed->is_number_unsigned() ? seed->get<uint64_t>() : static_cast<uint64_t>(seed->get<int64_t>());
  }
}

void read_logit_bias(const FieldReader& fields, int64_t vocab_size, GenerationConfig& settings) {
  const Json* bias = fields.find("logit_bias");
  if (bias == nullptr) return;
  if (!bias->is_object() || bias->size() > kMostBias)
    fields.wrong("logit_bias", fmt::format("an object of at most {} token ids and numbers", kMostBias));
  const std::string param = fields.param_of("logit_bias");
  settings.logit_bias.clear();
  for (const auto& [key, value] : bias->items()) {
    int64_t id = -1;
    const auto end = std::from_chars(key.data(), key.data() + key.size(), id);
    const bool good = !key.empty() && end.ec == std::errc() && end.ptr == key.data() + key.size();
    if (!good || id < 0 || id >= vocab_size)
      refuse(param, fmt::format("\"{}\" has the key {}, which is not a token id from 0 to {}.", param,
                                shown(key), vocab_size - 1));
    if (!value.is_number() || !(std::abs(value.get<double>()) <= 100))
      refuse(param, fmt::format("\"{}\" gives token {} the bias {}; it should be a number from -100 to 100.",
                                param, id, shown(value)));
    settings.logit_bias.emplace_back(id, value.get<double>());
  }
}

void read_penalties(const FieldReader& fields, GenerationConfig& settings) {
  if (const auto penalty = fields.number("presence_penalty", -2, 2)) settings.presence_penalty = *penalty;
  if (const auto penalty = fields.number("frequency_penalty", -2, 2)) settings.frequency_penalty = *penalty;
  if (const auto penalty = fields.number("repetition_penalty", 0, 100, true))
    settings.repetition_penalty = *penalty;
}

void read_ends(const FieldReader& fields, const SamplingSource& source, Sampling& sampling) {
  GenerationConfig& settings = sampling.settings;
  for (std::string& stop : fields.texts("stop", kMostStops, kMostStopBytes))
    settings.stop_strings.push_back(std::move(stop));
  for (const int64_t id : fields.ids("stop_token_ids", source.vocab_size, kMostStopIds))
    settings.stop_token_ids.push_back(id);
  if (fields.boolean("ignore_eos").value_or(false)) settings.eos_token_id.clear();
  sampling.include_stop = fields.boolean("include_stop_str_in_output").value_or(false);
  sampling.skip_special = fields.boolean("skip_special_tokens").value_or(true);
  const auto least = fields.integer("min_tokens", 0, kMostTokens);
  if (!least) return;
  if (sampling.max_tokens && *least > *sampling.max_tokens)
    refuse(fields.param_of("min_tokens"),
           fmt::format("\"min_tokens\" is {}, which is more than the {} of the limit.", *least,
                       *sampling.max_tokens));
  settings.min_new_tokens = settings.stop_strings_after = *least;
}

// Words that never come, as they stand and behind a space.
void read_words(const FieldReader& fields, const SamplingSource& source, Sampling& sampling) {
  for (const std::string& word : fields.texts("bad_words", kMostBadWords, kMostStopBytes)) {
    sampling.settings.bad_words_ids.push_back(source.tokenizer.encode(word, false));
    if (!word.starts_with(' '))
      sampling.settings.bad_words_ids.push_back(source.tokenizer.encode(" " + word, false));
  }
  sampling.allowed_ids = fields.ids("allowed_token_ids", source.vocab_size, kMostAllowed);
  if (fields.has("allowed_token_ids") && sampling.allowed_ids.empty())
    fields.wrong("allowed_token_ids", "a list of at least one token id");
}

// n, best_of and beams.
void read_choices(const FieldReader& fields, Sampling& sampling) {
  GenerationConfig& settings = sampling.settings;
  sampling.n = fields.integer("n", 1, kMostChoices).value_or(1);
  sampling.best_of = fields.integer("best_of", 1, kMostChoices).value_or(sampling.n);
  if (sampling.best_of < sampling.n)
    refuse(fields.param_of("best_of"),
           fmt::format("\"best_of\" is {}, which is less than \"n\" = {}.", sampling.best_of, sampling.n));
  if (fields.boolean("use_beam_search").value_or(false)) {
    settings.do_sample = false;
    settings.num_beams = sampling.best_of;
    settings.num_return_sequences = sampling.n;
    settings.prompt_lookup_num_tokens = 0;
    if (const auto penalty = fields.number("length_penalty", -10, 10)) settings.length_penalty = *penalty;
    if (fields.boolean("early_stopping").value_or(false)) settings.early_stopping = EarlyStopping::kTrue;
    sampling.best_of = sampling.n;
    return;
  }
  settings.num_beams = 1;
  sampling.all_the_same = !settings.samples();
  if (sampling.all_the_same) sampling.best_of = sampling.n;
  settings.num_return_sequences = sampling.all_the_same ? 1 : sampling.best_of;
}

// A TextStream of the tokenizer's decoder that shows special tokens.
class SpecialText final : public TextStream {
 public:
  explicit SpecialText(const Tokenizer& tokenizer) : decoder_(tokenizer, false) {}
  std::string push(int64_t id) override { return decoder_.push(id); }
  std::string finish() override { return decoder_.finish(); }
  std::unique_ptr<TextStream> clone() const override { return std::make_unique<SpecialText>(*this); }

 private:
  StreamDecoder decoder_;
};

}  // namespace

Sampling read_sampling(const FieldReader& fields, const SamplingSource& source,
                       const std::vector<std::string_view>& max_tokens_keys, int64_t least) {
  Sampling sampling;
  GenerationConfig& settings = sampling.settings;
  settings = source.checkpoint;
  settings.max_new_tokens.reset();  // those of the checkpoint are for programs that say nothing
  settings.max_length.reset();
  settings.logprobs.reset();
  for (const std::string_view key : max_tokens_keys) {
    const auto limit = fields.integer(key, least, std::numeric_limits<int64_t>::max());
    if (limit && !sampling.max_tokens) sampling.max_tokens = std::min(*limit, kMostTokens);
  }
  if (sampling.max_tokens && *sampling.max_tokens > 0) settings.max_new_tokens = sampling.max_tokens;
  read_draw(fields, settings);
  read_penalties(fields, settings);
  read_logit_bias(fields, source.vocab_size, settings);
  read_ends(fields, source, sampling);
  read_words(fields, source, sampling);
  read_choices(fields, sampling);
  settings.validate();
  return sampling;
}

std::function<bool(const ConstraintQuery&, TokenMask)> allow_only(
    const std::vector<int64_t>& ids, std::function<bool(const ConstraintQuery&, TokenMask)> inner) {
  return [ids, inner = std::move(inner)](const ConstraintQuery& query, TokenMask mask) {
    const bool narrowed = inner && inner(query, mask);
    std::vector<uint32_t> allowed(mask.size());
    for (const int64_t id : ids) {
      const auto word = static_cast<size_t>(id / 32);
      if (word < allowed.size()) allowed[word] |= uint32_t{1} << (id % 32);
    }
    for (size_t i = 0; i < mask.size(); ++i) mask[i] = narrowed ? mask[i] & allowed[i] : allowed[i];
    return true;
  };
}

std::function<std::unique_ptr<TextStream>()> text_with_specials(const Tokenizer& tokenizer) {
  return [tokenizer] { return std::make_unique<SpecialText>(tokenizer); };
}

}  // namespace vl3::serve
