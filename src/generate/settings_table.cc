#include "generate/settings_table.h"

#include <array>
#include <cmath>

namespace vl3 {
namespace {

constexpr double kInf = HUGE_VAL;
constexpr SettingRange kAny{-kInf, kInf};
constexpr SettingRange kFromZero{0, kInf};
constexpr SettingRange kFromOne{1, kInf};
constexpr SettingRange kAboveZero{0, kInf, true};
constexpr SettingRange kZeroToOne{0, 1};
constexpr SettingRange kAboveZeroToOne{0, 1, true};
constexpr SettingRange kZeroToBelowOne{0, 1, false, true};
constexpr SettingRange kPenalty{-2, 2};

template <auto kMember>
constexpr SettingRow row(const char* name, const char* type, SettingRange range, const char* help) {
  return {name,
          type,
          range,
          help,
          [](GenerationConfig& config, const Json& value, const SettingReader& reader) {
            read_setting(config.*kMember, value, reader);
          },
          [](const GenerationConfig& config) { return write_setting(config.*kMember); }};
}

using G = GenerationConfig;

constexpr std::array kRows = {
    row<&G::max_new_tokens>("max_new_tokens", "integer", kFromOne,
                            "most new tokens; without it and max_length, 20"),
    row<&G::max_length>("max_length", "integer", kFromOne,
                        "most tokens, prompt included; max_new_tokens goes before it"),
    row<&G::min_new_tokens>("min_new_tokens", "integer", kFromZero,
                            "no end token before this many new tokens"),
    row<&G::min_length>("min_length", "integer", kFromZero,
                        "no end token before this many tokens, prompt included; min_new_tokens goes before "
                        "it"),
    row<&G::max_time>("max_time", "number", kAboveZero,
                      "seconds after which no further step is begun; an answer cut off so ends with length"),
    row<&G::eos_token_id>("eos_token_id", "id or ids", kAny, "tokens that end an answer; [] for none"),
    row<&G::stop_token_ids>("stop_token_ids", "id or ids", kAny,
                            "further tokens that end an answer, in all like eos_token_id"),
    row<&G::stop_strings>("stop_strings", "text or texts", kAny,
                          "texts that end an answer, wherever tokens divide them; the text returned ends "
                          "before them"),
    row<&G::stop_strings_after>("stop_strings_after", "integer", kFromZero,
                                "a stop string counts only where it ends behind this many new tokens; the "
                                "reference looks at all, whatever min_new_tokens says"),
    row<&G::pad_token_id>("pad_token_id", "integer", kFromZero,
                          "fills rows of a batch that ended early, where a rectangle is asked for"),
    row<&G::sequence_bias>("sequence_bias", "pairs [ids, number]", kAny,
                           "added to the logit of a sequence's last id where the ids before it match"),
    row<&G::logit_bias>("logit_bias", "object id: number, or pairs", kAny,
                        "added to the logits of these ids"),
    row<&G::repetition_penalty>("repetition_penalty", "number", kAboveZero,
                                "divides positive and multiplies negative logits of ids that prompt or "
                                "answer already hold"),
    row<&G::presence_penalty>("presence_penalty", "number", kPenalty,
                              "taken from the logits of ids that the answer already holds"),
    row<&G::frequency_penalty>("frequency_penalty", "number", kPenalty,
                               "taken from the logits of ids once for each time the answer holds them"),
    row<&G::no_repeat_ngram_size>("no_repeat_ngram_size", "integer", kFromZero,
                                  "no run of this many ids comes twice in prompt and answer; 0: off"),
    row<&G::bad_words_ids>("bad_words_ids", "list of ids", kAny, "sequences of ids that are never completed"),
    row<&G::suppress_tokens>("suppress_tokens", "id or ids", kAny, "ids that never come"),
    row<&G::begin_suppress_tokens>("begin_suppress_tokens", "id or ids", kAny, "ids that never come first"),
    row<&G::do_sample>("do_sample", "boolean", kAny, "draw tokens at random; otherwise take the most likely"),
    row<&G::temperature>("temperature", "number", kFromZero,
                         "divides the logits before a draw; 0: greedy, whatever do_sample says"),
    row<&G::top_k>("top_k", "integer", {-1, kInf}, "keep this many most likely tokens; 0 or -1: all"),
    row<&G::top_p>("top_p", "number", kZeroToOne,
                   "keep the fewest most likely tokens that together reach this probability; 1: all"),
    row<&G::min_p>("min_p", "number", kZeroToOne,
                   "keep tokens of at least this share of the most likely one's probability"),
    row<&G::typical_p>("typical_p", "number", kAboveZeroToOne,
                       "keep the tokens whose surprise is nearest to the expected one, up to this "
                       "probability; 1: all"),
    row<&G::epsilon_cutoff>("epsilon_cutoff", "number", kZeroToBelowOne,
                            "drop tokens below this probability; 0: off"),
    row<&G::eta_cutoff>("eta_cutoff", "number", kZeroToBelowOne,
                        "drop tokens below the lesser of this and its root times exp(-entropy); 0: off"),
    row<&G::renormalize_logits>("renormalize_logits", "boolean", kAny, "a log-softmax after all processors"),
    row<&G::seed>("seed", "integer", kAny, "of the draws; without it a fresh one each time"),
    row<&G::num_beams>("num_beams", "integer", {1, 1024}, "beams of a beam search; 1: none"),
    row<&G::length_penalty>("length_penalty", "number", kAny,
                            "scores of beams are divided by their new length to this power"),
    row<&G::early_stopping>("early_stopping", "boolean or \"never\"", kAny,
                            "end when num_beams answers are finished (true), when a better one is unlikely "
                            "(false) or impossible (\"never\")"),
    row<&G::num_return_sequences>("num_return_sequences", "integer", {1, 1024}, "answers for each prompt"),
    row<&G::logprobs>("logprobs", "integer", {0, 1000},
                      "return log-probabilities: of each token and of this many most likely ones"),
    row<&G::prompt_lookup_num_tokens>("prompt_lookup_num_tokens", "integer", {0, 256},
                                      "tokens to propose at once from an earlier occurrence of the last ids; "
                                      "0: off; the output stays the same"),
    row<&G::max_matching_ngram_size>("max_matching_ngram_size", "integer", {1, 64},
                                     "most ids that such an occurrence has to match"),
};

constexpr std::array<ForeignSetting, 44> kForeign = {{
    {"use_cache", ""},
    {"cache_implementation", ""},
    {"cache_config", ""},
    {"max_cache_len", ""},
    {"bos_token_id", ""},
    {"decoder_start_token_id", ""},
    {"return_dict_in_generate", ""},
    {"compile_config", ""},
    {"disable_compile", ""},
    {"continuous_batching_config", ""},
    {"prefill_chunk_size", ""},
    {"is_assistant", ""},
    {"num_assistant_tokens", ""},
    {"num_assistant_tokens_schedule", ""},
    {"assistant_confidence_threshold", ""},
    {"assistant_early_exit", ""},
    {"assistant_lookbehind", ""},
    {"target_lookbehind", ""},
    {"speculation_type", ""},
    {"use_mtp", ""},
    {"transformers_version", ""},
    {"_from_model_config", ""},
    {"_commit_hash", ""},
    {"encoder_repetition_penalty", "1.0"},
    {"encoder_no_repeat_ngram_size", "0"},
    {"output_scores", "false"},
    {"output_logits", "false"},
    {"output_attentions", "false"},
    {"output_hidden_states", "false"},
    {"remove_invalid_values", "false"},
    {"token_healing", "false"},
    {"low_memory", "false"},
    {"num_beam_groups", "1"},
    {"diversity_penalty", "0.0"},
    {"guidance_scale", "1.0"},
    {"penalty_alpha", "0.0"},
    {"top_h", "null"},
    {"forced_bos_token_id", "null"},
    {"forced_eos_token_id", "null"},
    {"exponential_decay_length_penalty", "null"},
    {"watermarking_config", "null"},
    {"dola_layers", "null"},
    {"constraints", "null"},
    {"force_words_ids", "null"},
}};

}  // namespace

std::span<const SettingRow> setting_rows() { return kRows; }
std::span<const ForeignSetting> foreign_settings() { return kForeign; }

}  // namespace vl3
