#pragma once
// What bends logits before a token is chosen, one function each, in the order in which the reference applies
// them (transformers/generation/logits_process.py). All work in place on one row of f32 scores [vocab]; a
// token that is ruled out gets -inf. Ids outside the vocabulary (placeholders of pictures may be) are passed
// over where they only stand in the history. Softmaxes are computed in double and rounded to f32 once, so
// that they are within half an ulp of the exact ones.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "vl3/generation.h"

namespace vl3 {

using Scores = std::span<float>;
using Ids = std::span<const int64_t>;

struct SequenceBias {
  std::vector<int64_t> ids;  // at least one
  float bias = 0;
};

// SequenceBiasLogitsProcessor: the bias of every sequence whose ids but the last end the history, added to
// its last id.
void add_sequence_bias(Ids history, std::span<const SequenceBias> biases, Scores scores);
// RepetitionPenaltyLogitsProcessor: each id of the history once: score < 0 ? score · penalty : score /
// penalty.
void penalise_repetition(Ids history, float penalty, Scores scores);
// score − presence − frequency · count for ids of the answer; not the reference's but OpenAI's.
void penalise_presence(Ids answer, float presence, float frequency, Scores scores);
// NoRepeatNGramLogitsProcessor: every id that would complete an n-gram of the history again.
void ban_repeated_ngrams(Ids history, int64_t ngram_size, Scores scores);
// MinLength…, MinNewTokensLength…, SuppressTokensLogitsProcessor: these ids.
void ban_tokens(Ids ids, Scores scores);

// TemperatureLogitsWarper.
void divide_by_temperature(float temperature, Scores scores);
// TopKLogitsWarper: all below the k-th largest score; ties with it stay.
void keep_top_k(int64_t k, Scores scores);
// TopPLogitsWarper: the least likely tokens whose probabilities together are at most 1 − p; of equals the
// smaller id first.
void keep_top_p(double p, int64_t min_tokens_to_keep, Scores scores);
// MinPLogitsWarper: probabilities below p times the largest one.
void keep_min_p(double p, int64_t min_tokens_to_keep, Scores scores);
// TypicalLogitsWarper: tokens by |surprise − entropy|, up to the mass.
void keep_typical(double mass, int64_t min_tokens_to_keep, Scores scores);
// EpsilonLogitsWarper: probabilities below epsilon.
void keep_above_epsilon(double epsilon, int64_t min_tokens_to_keep, Scores scores);
// EtaLogitsWarper: probabilities below min(epsilon, sqrt(epsilon) · exp(−entropy)).
void keep_above_eta(double epsilon, int64_t min_tokens_to_keep, Scores scores);
// LogitNormalization; also what beams and log-probabilities start from.
void log_softmax(Scores scores);

// The chain that settings ask for (docs/generation.md has the order).
class ProcessorChain {
 public:
  // stop_ids: everything that ends an answer. Throws kInvalidArgument for ids beyond the vocabulary.
  ProcessorChain(const GenerationConfig& settings, Ids stop_ids, int64_t vocab_size);

  // Whether apply can change scores behind a history of this length; false: the logits may be used as they
  // are.
  bool bends(int64_t length, int64_t prompt_length) const;
  // history: prompt and answer so far. behind_penalties: what else bends the scores, before they are warped
  // (GenerationHooks::bend_scores); may be empty.
  void apply(Ids history, int64_t prompt_length, Scores scores,
             const std::function<void(Scores)>& behind_penalties = {}) const;

 private:
  bool too_short(int64_t length, int64_t prompt_length) const;
  void warp(Scores scores) const;

  GenerationConfig settings_;
  std::vector<int64_t> stop_ids_;
  std::vector<SequenceBias> biases_, bans_;
  int64_t min_tokens_to_keep_ = 1;
};

}  // namespace vl3
