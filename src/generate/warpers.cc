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

std::vector<size_t> tokens_left(Scores scores) {
  std::vector<size_t> places;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] != kBanned) places.push_back(i);
  }
  return places;
}

// By ascending key; of equals the smaller id first.
struct ByKey {
  std::span<const float> keys;
  bool operator()(size_t a, size_t b) const { return keys[a] != keys[b] ? keys[a] < keys[b] : a < b; }
};

// In the order of keys, the number of leading places whose running sum of weights is still within. Sorts no
// more than needed: on return the first that many places stand before the others, and the next one is where
// it belongs.
template <class Within>
size_t leading_within(std::vector<size_t>& places, ByKey before, std::span<const float> weights,
                      Within within) {
  constexpr size_t kFew = 64;
  size_t begin = 0, end = places.size();
  double sum = 0;  // of the weights before begin
  while (end - begin > kFew) {
    const size_t middle = begin + (end - begin) / 2;
    const auto at = [&](size_t index) { return places.begin() + static_cast<ptrdiff_t>(index); };
    std::nth_element(at(begin), at(middle), at(end), before);
    double lower = sum;
    for (size_t i = begin; i < middle; ++i) lower += weights[places[i]];
    if (within(static_cast<float>(lower))) {
      begin = middle;
      sum = lower;
    } else {
      end = middle;
    }
  }
  std::sort(places.begin() + static_cast<ptrdiff_t>(begin), places.begin() + static_cast<ptrdiff_t>(end),
            before);
  for (; begin < end; ++begin) {
    sum += weights[places[begin]];
    if (!within(static_cast<float>(sum))) break;
  }
  return begin;
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
  std::vector<size_t> places = tokens_left(scores);
  const auto keep = static_cast<size_t>(min_tokens_to_keep);
  if (keep >= places.size()) return;
  const std::vector<float> keys(scores.begin(), scores.end());
  const auto threshold = static_cast<float>(1.0 - p);
  size_t out = leading_within(places, {keys}, probabilities, [&](float sum) { return sum <= threshold; });
  if (out > places.size() - keep) {
    out = places.size() - keep;
    std::nth_element(places.begin(), places.begin() + static_cast<ptrdiff_t>(out), places.end(), ByKey{keys});
  }
  for (size_t i = 0; i < out; ++i) scores[places[i]] = kBanned;
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
  std::vector<size_t> places = tokens_left(scores);
  const auto keep = static_cast<size_t>(min_tokens_to_keep);
  if (keep >= places.size()) return;
  const auto threshold = static_cast<float>(mass);
  const size_t last =
      leading_within(places, {surprise}, probabilities, [&](float sum) { return sum < threshold; });
  if (last >= places.size()) return;  // nothing is beyond the last one
  const float farthest = surprise[places[last]];
  std::nth_element(places.begin(), places.begin() + static_cast<ptrdiff_t>(keep), places.end(),
                   ByKey{surprise});
  for (size_t i = keep; i < places.size(); ++i) {
    if (surprise[places[i]] > farthest) scores[places[i]] = kBanned;
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
