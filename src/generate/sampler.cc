#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace vl3 {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

// Unnormalised: the sum of exp(value − top).
double sum_of_exponentials(std::span<const float> values, float top) {
  double sum = 0;
  for (const float value : values) {
    if (value != kBanned) sum += std::exp(static_cast<double>(value) - top);
  }
  return sum;
}

}  // namespace

int64_t most_likely(std::span<const float> scores) {
  size_t best = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    require(!std::isnan(scores[i]), ErrorCode::kInternal, "[generate] the score of token {} is not a number",
            i);
    if (scores[i] > scores[best]) best = i;
  }
  require(!scores.empty() && scores[best] != kBanned, ErrorCode::kInvalidArgument,
          "[generate] the settings rule out every token that could come next: allow more tokens, or forbid "
          "fewer (bad words, suppressed tokens, repeated n-grams, the form of the answer, its least length)");
  return static_cast<int64_t>(best);
}

int64_t draw(std::span<const float> scores, double uniform) {
  const int64_t best = most_likely(scores);
  const float top = scores[static_cast<size_t>(best)];
  const double wanted = uniform * sum_of_exponentials(scores, top);
  double sum = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] == kBanned) continue;
    sum += std::exp(static_cast<double>(scores[i]) - top);
    if (sum > wanted) return static_cast<int64_t>(i);
  }
  return best;  // not reached: uniform < 1 leaves the whole sum above what is wanted
}

std::vector<int64_t> top_indices(std::span<const float> values, int64_t count) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto kept = std::min<size_t>(static_cast<size_t>(count), order.size());
  const auto larger = [&](int64_t a, int64_t b) {
    const float left = values[static_cast<size_t>(a)], right = values[static_cast<size_t>(b)];
    return left != right ? left > right : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(kept), order.end(), larger);
  order.resize(kept);
  return order;
}

TokenLogprob token_logprob(std::span<const float> logits, int64_t id, int64_t top) {
  const float largest = logits[static_cast<size_t>(most_likely(logits))];
  const double total = largest + std::log(sum_of_exponentials(logits, largest));
  const auto of = [&](int64_t token) {
    return static_cast<float>(logits[static_cast<size_t>(token)] - total);
  };
  TokenLogprob result;
  result.id = id;
  result.logprob = of(id);
  if (top > 0) {
    for (const int64_t token : top_indices(logits, top)) result.top.emplace_back(token, of(token));
  }
  return result;
}

}  // namespace vl3
