#include "generate/prompt_lookup.h"

#include <algorithm>

namespace vl3 {

std::vector<int64_t> propose_tokens(std::span<const int64_t> history, int64_t max_ngram_size, int64_t count) {
  const auto length = static_cast<int64_t>(history.size());
  for (int64_t n = std::min(max_ngram_size, length - 1); n >= 1; --n) {
    const auto wanted = history.last(static_cast<size_t>(n));
    for (int64_t begin = length - n - 1; begin >= 0; --begin) {
      if (!std::equal(wanted.begin(), wanted.end(), history.begin() + begin)) continue;
      const auto from = history.begin() + begin + n;
      return {from, from + std::min(count, length - begin - n)};
    }
  }
  return {};
}

std::vector<int64_t> DraftLength::propose(std::span<const int64_t> history, int64_t room) {
  if (rest_ > 0) {
    --rest_;
    return {};
  }
  const int64_t count = std::min(max_tokens_, room);
  if (count <= 0) return {};
  return propose_tokens(history, max_ngram_size_, count);
}

void DraftLength::report(int64_t drafted, int64_t accepted) {
  drafted_ += drafted;
  accepted_ += accepted;
  trial_drafted_ += drafted;
  trial_accepted_ += accepted;
  if (trial_drafted_ < kTrial) return;
  if (static_cast<double>(trial_accepted_) < kLeastShare * static_cast<double>(trial_drafted_))
    rest_ = kRestSteps;
  trial_drafted_ = trial_accepted_ = 0;
}

}  // namespace vl3
