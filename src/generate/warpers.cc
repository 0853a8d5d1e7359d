// The processors that thin out a distribution before a draw.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "generate/processors.h"

namespace vl3 {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

float largest(Scores scores) { return *std::max_element(scores.begin(), scores.end()); }

// log of the sum of exponentials; the largest score must be finite.
double log_sum_exp(Scores scores) {
  const double top = largest(scores);
  double sum = 0;
  for (const float score : scores) {
    if (score != kBanned) sum += std::exp(score - top);
  }
  return top + std::log(sum);
}

std::vector<float> softmax(Scores scores) {
  std::vector<float> probabilities(scores.size(), 0.0f);
  const double top = largest(scores);
  double sum = 0;
  for (const float score : scores) {
    if (score != kBanned) sum += std::exp(score - top);
  }
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] != kBanned) probabilities[i] = static_cast<float>(std::exp(scores[i] - top) / sum);
  }
  return probabilities;
}

bool nothing_left(Scores scores) { return scores.empty() || largest(scores) == kBanned; }

float kth_largest(int64_t k, std::vector<float> values) {
  const auto at =
      values.begin() + static_cast<ptrdiff_t>(std::min<size_t>(static_cast<size_t>(k), values.size()) - 1);
  std::nth_element(values.begin(), at, values.end(), std::greater<>());
  return *at;
}

float kth_largest(int64_t k, Scores scores) {
  return kth_largest(k, std::vector<float>(scores.begin(), scores.end()));
}

// Places of the tokens that are still in, by ascending key; of equals the smaller id first.
std::vector<size_t> ascending(Scores scores, std::span<const float> keys) {
  std::vector<size_t> order;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] != kBanned) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  return order;
}

// Bans what is less likely than threshold, except the min_tokens_to_keep highest scores (and ties with the
// last of them).
void ban_below(float threshold, int64_t min_tokens_to_keep, std::span<const float> probabilities,
               Scores scores) {
  const float kept_score = kth_largest(min_tokens_to_keep, scores);
  for (size_t i = 0; i < scores.size(); ++i) {
    if (probabilities[i] < threshold && scores[i] < kept_score) scores[i] = kBanned;
  }
}

}  // namespace

void divide_by_temperature(float temperature, Scores scores) {
  for (float& score : scores) score /= temperature;
}

void keep_top_k(int64_t k, Scores scores) {
  if (k >= static_cast<int64_t>(scores.size())) return;
  const float least = kth_largest(k, scores);
  for (float& score : scores) {
    if (score < least) score = kBanned;
  }
}

void keep_top_p(double p, int64_t min_tokens_to_keep, Scores scores) {
  if (nothing_left(scores)) return;
  const std::vector<float> probabilities = softmax(scores);
  const std::vector<size_t> order = ascending(scores, scores);
  const auto threshold = static_cast<float>(1.0 - p);
  const auto keep = static_cast<size_t>(min_tokens_to_keep);
  double sum = 0;
  for (size_t i = 0; i + keep < order.size(); ++i) {
    sum += probabilities[order[i]];
    if (static_cast<float>(sum) > threshold) break;
    scores[order[i]] = kBanned;
  }
}

void keep_min_p(double p, int64_t min_tokens_to_keep, Scores scores) {
  if (nothing_left(scores)) return;
  const std::vector<float> probabilities = softmax(scores);
  const float threshold =
      static_cast<float>(p) * *std::max_element(probabilities.begin(), probabilities.end());
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto keep = order.begin() + static_cast<ptrdiff_t>(std::min<size_t>(
                                        static_cast<size_t>(min_tokens_to_keep), order.size()));
  std::partial_sort(order.begin(), keep, order.end(), [&](size_t a, size_t b) {
    return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b] : a < b;
  });
  for (auto at = keep; at != order.end(); ++at) {
    if (probabilities[*at] < threshold) scores[*at] = kBanned;
  }
}

void keep_typical(double mass, int64_t min_tokens_to_keep, Scores scores) {
  if (nothing_left(scores)) return;
  const double total = log_sum_exp(scores);
  std::vector<float> surprise(scores.size(), std::numeric_limits<float>::infinity());
  double entropy = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] == kBanned) continue;
    surprise[i] = static_cast<float>(total - scores[i]);
    entropy += surprise[i] * std::exp(-surprise[i]);
  }
  for (float& value : surprise) value = std::abs(value - static_cast<float>(entropy));
  const std::vector<float> probabilities = softmax(scores);
  const std::vector<size_t> order = ascending(scores, surprise);
  const auto threshold = static_cast<float>(mass);
  size_t last = 0;
  double sum = 0;
  for (; last < order.size(); ++last) {
    sum += probabilities[order[last]];
    if (!(static_cast<float>(sum) < threshold)) break;
  }
  if (last >= order.size()) return;  // nothing is beyond the last one
  const float farthest = surprise[order[last]];
  for (size_t i = static_cast<size_t>(min_tokens_to_keep); i < order.size(); ++i) {
    if (surprise[order[i]] > farthest) scores[order[i]] = kBanned;
  }
}

void keep_above_epsilon(double epsilon, int64_t min_tokens_to_keep, Scores scores) {
  if (nothing_left(scores)) return;
  ban_below(static_cast<float>(epsilon), min_tokens_to_keep, softmax(scores), scores);
}

void keep_above_eta(double epsilon, int64_t min_tokens_to_keep, Scores scores) {
  if (nothing_left(scores)) return;
  const double total = log_sum_exp(scores);
  double entropy = 0;
  for (const float score : scores) {
    if (score != kBanned) entropy -= (score - total) * std::exp(score - total);
  }
  const auto cut = static_cast<float>(epsilon);
  const float eta = std::min(cut, std::sqrt(cut) * std::exp(-static_cast<float>(entropy)));
  ban_below(eta, min_tokens_to_keep, softmax(scores), scores);
}

void log_softmax(Scores scores) {
  if (nothing_left(scores)) return;
  const double total = log_sum_exp(scores);
  for (float& score : scores) score = static_cast<float>(score - total);
}

}  // namespace vl3
