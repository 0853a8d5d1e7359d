#include "generate/processors.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "base/check.h"

namespace vl3 {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

bool in_vocabulary(int64_t id, Scores scores) { return id >= 0 && id < static_cast<int64_t>(scores.size()); }

void check_ids(Ids ids, std::string_view setting, int64_t vocab_size) {
  for (const int64_t id : ids) {
    require(id < vocab_size, ErrorCode::kInvalidArgument,
            "[settings] {} names token {}, but the vocabulary has {} tokens", setting, id, vocab_size);
  }
}

// A sequence given twice counts once, with its last bias, as in the reference's dictionary.
void add_once(std::vector<SequenceBias>& biases, std::vector<int64_t> ids, float bias) {
  for (SequenceBias& other : biases) {
    if (other.ids == ids) {
      other.bias = bias;
      return;
    }
  }
  biases.push_back({std::move(ids), bias});
}

}  // namespace

void add_sequence_bias(Ids history, std::span<const SequenceBias> biases, Scores scores) {
  // Summed before they are added to the score, single ids first: f32 sums depend on their order.
  std::vector<std::pair<int64_t, float>> sums;
  const auto add = [&](int64_t id, float bias) {
    for (auto& [known, sum] : sums) {
      if (known == id) {
        sum += bias;
        return;
      }
    }
    sums.emplace_back(id, bias);
  };
  for (const SequenceBias& entry : biases) {
    if (entry.ids.size() == 1) add(entry.ids[0], entry.bias);
  }
  for (const SequenceBias& entry : biases) {
    const size_t prefix = entry.ids.size() - 1;
    if (prefix == 0 || prefix > history.size()) continue;
    if (std::equal(entry.ids.begin(), entry.ids.end() - 1, history.end() - static_cast<ptrdiff_t>(prefix))) {
      add(entry.ids.back(), entry.bias);
    }
  }
  for (const auto& [id, sum] : sums) scores[static_cast<size_t>(id)] += sum;
}

void penalise_repetition(Ids history, float penalty, Scores scores) {
  std::vector<bool> seen(scores.size());
  for (const int64_t id : history) {
    if (!in_vocabulary(id, scores) || seen[static_cast<size_t>(id)]) continue;
    seen[static_cast<size_t>(id)] = true;
    float& score = scores[static_cast<size_t>(id)];
    score = score < 0 ? score * penalty : score / penalty;
  }
}

void penalise_presence(Ids answer, float presence, float frequency, Scores scores) {
  std::vector<int64_t> sorted(answer.begin(), answer.end());
  std::sort(sorted.begin(), sorted.end());
  for (auto at = sorted.begin(); at != sorted.end();) {
    const auto next = std::upper_bound(at, sorted.end(), *at);
    if (in_vocabulary(*at, scores)) {
      scores[static_cast<size_t>(*at)] -= presence + frequency * static_cast<float>(next - at);
    }
    at = next;
  }
}

void ban_repeated_ngrams(Ids history, int64_t ngram_size, Scores scores) {
  const auto size = static_cast<size_t>(ngram_size);
  if (history.size() < size) return;
  const Ids prefix = history.last(size - 1);
  for (size_t begin = 0; begin + size <= history.size(); ++begin) {
    const Ids window = history.subspan(begin, size);
    if (in_vocabulary(window.back(), scores) && std::equal(prefix.begin(), prefix.end(), window.begin())) {
      scores[static_cast<size_t>(window.back())] = kBanned;
    }
  }
}

void ban_tokens(Ids ids, Scores scores) {
  for (const int64_t id : ids) {
    if (in_vocabulary(id, scores)) scores[static_cast<size_t>(id)] = kBanned;
  }
}

ProcessorChain::ProcessorChain(const GenerationConfig& settings, Ids stop_ids, int64_t vocab_size)
    : settings_(settings), stop_ids_(stop_ids.begin(), stop_ids.end()) {
  for (const auto& [ids, bias] : settings.sequence_bias) {
    check_ids(ids, "sequence_bias", vocab_size);
    add_once(biases_, ids, static_cast<float>(bias));
  }
  for (const auto& [id, bias] : settings.logit_bias) check_ids({&id, 1}, "logit_bias", vocab_size);
  for (const std::vector<int64_t>& word : settings.bad_words_ids) {
    check_ids(word, "bad_words_ids", vocab_size);
    const bool ends =
        word.size() == 1 && std::find(settings.eos_token_id.begin(), settings.eos_token_id.end(), word[0]) !=
                                settings.eos_token_id.end();
    if (!ends) add_once(bans_, word, kBanned);
  }
  check_ids(settings.suppress_tokens, "suppress_tokens", vocab_size);
  check_ids(settings.begin_suppress_tokens, "begin_suppress_tokens", vocab_size);
  // Beams must keep something beside the tokens that end them.
  if (settings.num_beams > 1)
    min_tokens_to_keep_ = std::max<int64_t>(1, static_cast<int64_t>(stop_ids.size())) + 1;
}

bool ProcessorChain::too_short(int64_t length, int64_t prompt_length) const {
  return settings_.min_new_tokens ? length - prompt_length < *settings_.min_new_tokens
                                  : length < settings_.min_length;
}

bool ProcessorChain::bends(int64_t length, int64_t prompt_length) const {
  const GenerationConfig& s = settings_;
  const bool warps = s.temperature != 1.0 || s.top_k > 0 || s.top_p < 1.0 || s.min_p || s.typical_p < 1.0 ||
                     s.epsilon_cutoff > 0.0 || s.eta_cutoff > 0.0;
  return !biases_.empty() || !s.logit_bias.empty() || s.repetition_penalty != 1.0 ||
         s.presence_penalty != 0.0 || s.frequency_penalty != 0.0 || s.no_repeat_ngram_size > 0 ||
         !bans_.empty() || (too_short(length, prompt_length) && !stop_ids_.empty()) ||
         !s.suppress_tokens.empty() || (length == prompt_length && !s.begin_suppress_tokens.empty()) ||
         (s.samples() && warps) || s.renormalize_logits;
}

void ProcessorChain::apply(Ids history, int64_t prompt_length, Scores scores,
                           const std::function<void(Scores)>& behind_penalties) const {
  const auto length = static_cast<int64_t>(history.size());
  const int64_t new_tokens = length - prompt_length;
  if (!biases_.empty()) add_sequence_bias(history, biases_, scores);
  for (const auto& [id, bias] : settings_.logit_bias)
    scores[static_cast<size_t>(id)] += static_cast<float>(bias);
  if (settings_.repetition_penalty != 1.0) {
    penalise_repetition(history, static_cast<float>(settings_.repetition_penalty), scores);
  }
  if (settings_.presence_penalty != 0.0 || settings_.frequency_penalty != 0.0) {
    penalise_presence(history.subspan(static_cast<size_t>(prompt_length)),
                      static_cast<float>(settings_.presence_penalty),
                      static_cast<float>(settings_.frequency_penalty), scores);
  }
  if (settings_.no_repeat_ngram_size > 0)
    ban_repeated_ngrams(history, settings_.no_repeat_ngram_size, scores);
  if (!bans_.empty()) add_sequence_bias(history, bans_, scores);
  if (too_short(length, prompt_length)) ban_tokens(stop_ids_, scores);
  ban_tokens(settings_.suppress_tokens, scores);
  if (new_tokens == 0) ban_tokens(settings_.begin_suppress_tokens, scores);
  if (behind_penalties) behind_penalties(scores);
  if (settings_.samples()) warp(scores);
  if (settings_.renormalize_logits) log_softmax(scores);
}

void ProcessorChain::warp(Scores scores) const {
  const GenerationConfig& s = settings_;
  if (s.temperature != 1.0) divide_by_temperature(static_cast<float>(s.temperature), scores);
  if (s.top_k > 0) keep_top_k(std::max(s.top_k, min_tokens_to_keep_), scores);
  if (s.top_p < 1.0) keep_top_p(s.top_p, min_tokens_to_keep_, scores);
  if (s.min_p) keep_min_p(*s.min_p, min_tokens_to_keep_, scores);
  if (s.typical_p < 1.0) keep_typical(s.typical_p, min_tokens_to_keep_, scores);
  if (s.epsilon_cutoff > 0.0) keep_above_epsilon(s.epsilon_cutoff, min_tokens_to_keep_, scores);
  if (s.eta_cutoff > 0.0) keep_above_eta(s.eta_cutoff, min_tokens_to_keep_, scores);
}

}  // namespace vl3
