#pragma once
// Prompt lookup: an answer often repeats what prompt or answer said before. Where the last ids occurred
// earlier, what followed then is proposed now, and one step of the model checks all of it.

#include <cstdint>
#include <span>
#include <vector>

namespace vl3 {

// Up to count ids that followed the latest earlier occurrence of the history's last n ids, for the largest n
// ≤ max_ngram_size that has one. Empty where there is none.
std::vector<int64_t> propose_tokens(std::span<const int64_t> history, int64_t max_ngram_size, int64_t count);

// The adaptive draft length: how much to propose, by what came of it; nothing for a while when hardly
// anything is accepted.
class DraftLength {
 public:
  DraftLength(int64_t max_tokens, int64_t max_ngram_size)
      : max_tokens_(max_tokens), max_ngram_size_(max_ngram_size) {}

  // At most room ids; counts as one step.
  std::vector<int64_t> propose(std::span<const int64_t> history, int64_t room);
  void report(int64_t drafted, int64_t accepted);

  int64_t drafted() const noexcept { return drafted_; }
  int64_t accepted() const noexcept { return accepted_; }

  static constexpr int64_t kTrial = 24;        // proposed tokens after which the share accepted is looked at
  static constexpr double kLeastShare = 0.15;  // below which proposing rests
  static constexpr int64_t kRestSteps = 32;

 private:
  int64_t max_tokens_, max_ngram_size_;
  int64_t drafted_ = 0, accepted_ = 0;
  int64_t trial_drafted_ = 0, trial_accepted_ = 0, rest_ = 0;
};

}  // namespace vl3
