#pragma once
// From a row of scores to a token, and to log-probabilities.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "vl3/generation.h"

namespace vl3 {

// Index of the largest score, the first of equals. Throws kInvalidArgument when every score is -inf,
// kInternal for NaN.
int64_t most_likely(std::span<const float> scores);

// Index drawn from the softmax of the scores: the first one at which the running sum of probabilities, in the
// order of ids and in double, exceeds uniform ∈ (0, 1). Throws as most_likely.
int64_t draw(std::span<const float> scores, double uniform);

// The count largest values' indices, largest first, the smaller index first among equals.
std::vector<int64_t> top_indices(std::span<const float> values, int64_t count);

// Of id under the log-softmax of logits, with the top most likely ones.
TokenLogprob token_logprob(std::span<const float> logits, int64_t id, int64_t top);

}  // namespace vl3
