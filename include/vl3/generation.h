#pragma once
// How an answer is made out of logits: the settings of generation, what comes back, and what is told on the
// way. Settings have the reference's names and meaning (transformers.GenerationConfig); docs/generation.md
// lists every one of them with its default, its range and the order in which they act.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vl3/export.h"
#include "vl3/json.h"

namespace vl3 {

// Beam search ends when there are num_beams finished candidates (kTrue), when a running beam is unlikely to
// do better (kFalse), or when it cannot (kNever).
enum class EarlyStopping { kFalse, kTrue, kNever };

struct VL3_API GenerationConfig {
  // Length. Without any of the first two, 20 new tokens, as the reference does.
  std::optional<int64_t> max_new_tokens;  // goes before max_length
  std::optional<int64_t> max_length;      // prompt included
  std::optional<int64_t> min_new_tokens;
  int64_t min_length = 0;          // prompt included
  std::optional<double> max_time;  // seconds from the first step on

  // Where an answer ends.
  std::vector<int64_t> eos_token_id;    // none: only length and the two below end it
  std::vector<int64_t> stop_token_ids;  // end an answer like eos_token_id
  std::vector<std::string> stop_strings;
  int64_t stop_strings_after = 0;       // new tokens in whose text no stop string ends; one may begin there
  std::optional<int64_t> pad_token_id;  // only for the padded shape of pad_new_ids

  // What bends the logits, in any mode.
  std::vector<std::pair<std::vector<int64_t>, double>> sequence_bias;  // ids → added to the last id's logit
  std::vector<std::pair<int64_t, double>> logit_bias;                  // id → added to its logit
  double repetition_penalty = 1.0;                                     // of ids seen in prompt or answer
  double presence_penalty = 0.0;                                       // of ids seen in the answer, once
  double frequency_penalty = 0.0;                                      // of ids seen in the answer, each time
  int64_t no_repeat_ngram_size = 0;
  std::vector<std::vector<int64_t>> bad_words_ids;
  std::vector<int64_t> suppress_tokens;
  std::vector<int64_t> begin_suppress_tokens;

  // Sampling, in the order in which they act.
  bool do_sample = false;
  double temperature = 1.0;  // 0: greedy, whatever do_sample says
  int64_t top_k = 50;        // 0 or -1: off
  double top_p = 1.0;
  std::optional<double> min_p;
  double typical_p = 1.0;
  double epsilon_cutoff = 0.0;
  double eta_cutoff = 0.0;
  bool renormalize_logits = false;
  std::optional<uint64_t> seed;  // none: a fresh one each call, told in GenerationStats

  // Beams.
  int64_t num_beams = 1;
  double length_penalty = 1.0;
  EarlyStopping early_stopping = EarlyStopping::kFalse;
  int64_t num_return_sequences = 1;

  // Log-probabilities to return: of the chosen token and this many of the most likely. None: not at all.
  std::optional<int64_t> logprobs;

  // Prompt lookup: tokens proposed at once from an earlier occurrence of the last n-gram. 0: off. Changes no
  // output.
  int64_t prompt_lookup_num_tokens = 0;
  int64_t max_matching_ngram_size = 2;

  // settings over base. Throws kInvalidArgument naming origin, the setting, its value and what it should be;
  // an unknown name is refused with the nearest known one, and a setting of the reference that cannot be
  // honoured here with kUnsupported. null gives a setting its value in base. Ends with validate().
  static GenerationConfig from_json(const Json& settings, const GenerationConfig& base,
                                    std::string_view origin = "settings");
  static GenerationConfig from_json(const Json& settings) { return from_json(settings, GenerationConfig()); }
  // folder/generation_config.json, or base where there is none. Keys that the reference writes for itself,
  // and settings that other programs invented, are passed over, and so is a wish for further outputs; an id
  // of -1 is none. Known ones are checked as by from_json.
  static GenerationConfig from_pretrained(const std::filesystem::path& folder, const GenerationConfig& base);
  static GenerationConfig from_pretrained(const std::filesystem::path& folder) {
    return from_pretrained(folder, GenerationConfig());
  }
  // Every setting that differs from its default; from_json of it gives the same settings again.
  Json to_json() const;
  // Ranges, and settings that exclude each other. Throws kInvalidArgument.
  void validate() const;
  // Whether tokens are drawn at random: do_sample at a temperature above 0.
  bool samples() const noexcept { return do_sample && temperature > 0; }
  // New tokens that a prompt of this length may get. Throws kInvalidArgument when max_length leaves none.
  int64_t new_token_limit(int64_t prompt_length) const;
};

// One row of the table of settings, for command lines, servers and documentation.
struct SettingInfo {
  std::string name;
  std::string type;      // "integer", "number", "boolean", "ids", …
  std::string fallback;  // the default as text
  std::string range;     // as text
  std::string help;
};
VL3_API std::span<const SettingInfo> generation_settings();
// The table as Markdown, as docs/generation.md shows it.
VL3_API std::string generation_settings_markdown();

enum class FinishReason { kStop, kLength, kCancelled };
VL3_API const char* to_string(FinishReason reason) noexcept;  // "stop", "length", "cancelled"

// Log-probabilities in nats: the log-softmax of the model's own logits, before any penalty, bias or
// temperature.
struct TokenLogprob {
  int64_t id = 0;
  float logprob = 0;
  std::vector<std::pair<int64_t, float>> top;  // most likely first; ties: the smaller id first
};

struct GenerationStats {
  uint64_t seed = 0;
  int64_t steps = 0;            // calls of the model that this prompt took part in, prefill not counted
  int64_t drafted_tokens = 0;   // proposed by prompt lookup
  int64_t accepted_tokens = 0;  // of those, the ones that were right
};

struct GenerationResult {
  int64_t prompt = 0;            // index in the batch
  int64_t sequence = 0;          // index among the sequences of this prompt; beams: best first
  std::vector<int64_t> ids;      // prompt and answer, not padded
  std::vector<int64_t> new_ids;  // the answer, with the token that ended it
  std::string text;              // the answer without what ended it; empty when hooks bring no make_text
  FinishReason finish_reason = FinishReason::kLength;
  std::string stop_reason;              // the stop string that ended it; empty for tokens
  std::optional<int64_t> stop_token;    // the token that ended it
  std::vector<TokenLogprob> logprobs;   // one per new id, when asked for
  std::optional<float> sequence_score;  // beams: summed log-probabilities over the length penalty
  GenerationStats stats;                // of the prompt, the same for all its sequences
};

// One new token. Tokens of one sequence come in order; a step's sequences come in order of prompt and
// sequence. With beams all events come at the end, sequence by sequence. What an event points to lives as
// long as the call.
struct StreamEvent {
  int64_t prompt = 0;
  int64_t sequence = 0;
  int64_t index = 0;  // of the token in new_ids
  int64_t token = 0;
  const TokenLogprob* logprob = nullptr;  // null unless asked for
  std::string_view text;  // what is certain by now: whole characters, no beginning of a stop string
  std::optional<FinishReason> finish_reason;  // set on a sequence's last token
};

// Turns ids into text, piece by piece; one for every sequence. Pieces are whole UTF-8 characters.
class VL3_API TextStream {
 public:
  virtual ~TextStream() = default;
  virtual std::string push(int64_t id) = 0;
  virtual std::string finish() = 0;  // what was held back
  virtual std::unique_ptr<TextStream> clone() const = 0;
};

// What a constraint is asked about.
struct ConstraintQuery {
  int64_t prompt = 0;            // index in the batch
  int64_t sequence = 0;          // index among the sequences of this prompt; of beams, whose order changes: 0
  std::span<const int64_t> ids;  // prompt and answer so far
  std::span<const int64_t> new_ids;  // the answer so far
  // New tokens that the sequence may still get by its limit, the one that is asked about included.
  int64_t left = std::numeric_limits<int64_t>::max();
};

// One bit per token id, bit id % 32 of word id / 32; set: allowed. All are clear when a hook gets it.
using TokenMask = std::span<uint32_t>;

struct GenerationHooks {
  // Called for every token; false cancels the sequence, whose finish_reason becomes kCancelled.
  std::function<bool(const StreamEvent&)> on_token;
  // A constraint (structured output): which tokens may come next. False: all, whatever the mask says. Applied
  // to the logits before everything else; where nothing is allowed the request ends with kInvalidArgument.
  // The answer must depend on the ids alone: it is asked about drafts and beams that may come to nothing,
  // and not always in order.
  std::function<bool(const ConstraintQuery&, TokenMask)> allowed;
  // Bends the scores [vocabulary] of the next token in place: behind the penalties and bans of the settings,
  // before temperature and what comes after it. Scores are logits, of beams log-probabilities. Called on the
  // thread that steps, one row after the other in the order of prompts and sequences, and like `allowed` also
  // for drafts and beams that may come to nothing. What it throws ends the request.
  std::function<void(const ConstraintQuery&, std::span<float> scores)> bend_scores;
  // Whether an answer ends behind these ids, as at an end token; asked about every token, of beams about
  // every candidate, that does not end it already. What it throws ends the request.
  std::function<bool(const ConstraintQuery&)> ends;
  // Told what the next token is chosen from: the model's logits [vocabulary], and what constraint, settings
  // and bend_scores made of them. Called where bend_scores is, once for each token in its order; where a
  // draft goes beyond an answer's end also for tokens behind it. Not told of beams, which refuse it.
  std::function<void(const ConstraintQuery&, std::span<const float> logits, std::span<const float> scores)>
      on_scores;
  // Needed for text and for stop_strings.
  std::function<std::unique_ptr<TextStream>()> make_text;
  // The id of a special token with this very text, which no TextStream shows; lets stop_strings name such
  // tokens.
  std::function<std::optional<int64_t>(std::string_view)> special_token;
};

class Tokenizer;
// Hooks for text through a tokenizer (they keep a copy). Special tokens are left out of the text.
VL3_API GenerationHooks text_hooks(const Tokenizer& tokenizer);

// The answers of a batch as the reference shapes them: rows as long as the longest, filled up with the pad
// token, else (without one, or for beams with pad token 0) the first end token, else -1.
VL3_API std::vector<std::vector<int64_t>> pad_new_ids(std::span<const GenerationResult> results,
                                                      const GenerationConfig& settings);

}  // namespace vl3
