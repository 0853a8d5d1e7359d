#include "generate/turns.h"

#include <algorithm>
#include <tuple>

namespace vl3 {

uint64_t Turns::last_turn(const Rank& rank) const {
  const auto found = turns_.find(rank.client);
  return found == turns_.end() ? 0 : found->second;
}

size_t Turns::next(std::span<const Rank> candidates) const {
  const auto order = [&](const Rank& rank) {
    return std::tuple(-static_cast<int64_t>(rank.priority), last_turn(rank), rank.arrival);
  };
  const auto first = std::min_element(candidates.begin(), candidates.end(),
                                      [&](const Rank& a, const Rank& b) { return order(a) < order(b); });
  return static_cast<size_t>(first - candidates.begin());
}

void Turns::served(const Rank& rank) {
  turns_[rank.client] = ++count_;
  if (turns_.size() <= kMostClients) return;
  turns_.erase(std::min_element(turns_.begin(), turns_.end(),
                                [](const auto& a, const auto& b) { return a.second < b.second; }));
}

}  // namespace vl3
