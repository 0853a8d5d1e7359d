#pragma once
// Greedy decoding and beam search written a second time, from their definition and without caches: every step
// asks for the logits of whole sequences. Slow and plain, to check the real ones.

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "vl3/generation.h"

namespace vl3::test {

using FullLogits = std::function<std::vector<float>(const std::vector<int64_t>& ids)>;

struct Hypothesis {
  std::vector<int64_t> ids;  // answer only
  float score = 0;
};

inline std::vector<float> plain_log_softmax(const std::vector<float>& logits) {
  double total = 0;
  const double top = *std::max_element(logits.begin(), logits.end());
  for (const float logit : logits) total += std::exp(logit - top);
  std::vector<float> out;
  for (const float logit : logits) out.push_back(static_cast<float>(logit - top - std::log(total)));
  return out;
}

inline std::vector<int64_t> plain_greedy(const FullLogits& logits, std::vector<int64_t> ids, int64_t count,
                                         int64_t eos) {
  std::vector<int64_t> answer;
  while (static_cast<int64_t>(answer.size()) < count) {
    const auto row = logits(ids);
    const auto token = static_cast<int64_t>(std::max_element(row.begin(), row.end()) - row.begin());
    answer.push_back(token);
    ids.push_back(token);
    if (token == eos) break;
  }
  return answer;
}

// Settings used: num_beams, length_penalty, early_stopping, max_new_tokens, one eos_token_id. Returns the
// finished answers, best first.
inline std::vector<Hypothesis> plain_beam_search(const FullLogits& logits, const std::vector<int64_t>& prompt,
                                                 const GenerationConfig& settings) {
  const auto width = static_cast<size_t>(settings.num_beams);
  const int64_t limit = *settings.max_new_tokens, eos = settings.eos_token_id.at(0);
  const auto normalised = [&](float score, int64_t length) {
    return score / static_cast<float>(std::pow(static_cast<double>(length), settings.length_penalty));
  };
  const auto better = [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; };
  std::vector<Hypothesis> running = {{}}, finished;
  for (int64_t length = 1; length <= limit; ++length) {
    std::vector<Hypothesis> next;
    for (const Hypothesis& beam : running) {
      std::vector<int64_t> ids = prompt;
      ids.insert(ids.end(), beam.ids.begin(), beam.ids.end());
      const auto row = plain_log_softmax(logits(ids));
      for (size_t token = 0; token < row.size(); ++token) {
        next.push_back({beam.ids, beam.score + row[token]});
        next.back().ids.push_back(static_cast<int64_t>(token));
      }
    }
    std::stable_sort(next.begin(), next.end(), better);
    running.clear();
    for (size_t rank = 0; rank < next.size() && (rank < width || running.size() < width); ++rank) {
      const bool ends = next[rank].ids.back() == eos || length == limit;
      if (!ends && running.size() < width) running.push_back(next[rank]);
      if (ends && rank < width) finished.push_back({next[rank].ids, normalised(next[rank].score, length)});
    }
    std::stable_sort(finished.begin(), finished.end(), better);
    if (finished.size() > width) finished.resize(width);
    if (running.empty() || finished.size() < width) continue;
    if (settings.early_stopping == EarlyStopping::kTrue) break;
    const bool to_the_end = settings.early_stopping == EarlyStopping::kNever && settings.length_penalty > 0;
    if (normalised(running[0].score, to_the_end ? limit : length) <= finished.back().score) break;
  }
  return finished;
}

}  // namespace vl3::test
