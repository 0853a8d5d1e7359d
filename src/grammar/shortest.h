#pragma once
// How many bytes a grammar's nodes are from the end of their rules, so that an answer can be brought to its
// end in time.

#include <cstdint>
#include <vector>

#include "grammar/budget.h"

namespace vl3::grammar {

struct Grammar;

// Of the nodes of one grammar. Exact where levels of nesting are not short; where they are, the bytes of a
// way that there is (one of the fewest levels): never too few.
class ShortestEnds {
 public:
  static constexpr int32_t kFar = 1 << 30;  // so many, or more
  static int32_t sum(int32_t a, int32_t b) { return a >= kFar - b ? kFar : a + b; }

  ShortestEnds() = default;
  // Of a grammar without dead edges, whose needs are known.
  ShortestEnds(const Grammar& grammar, Budget& budget);

  // For a node that no counter counts and that comes to an end with so many levels more.
  int32_t bytes(int32_t node, int32_t levels) const {
    const auto n = static_cast<size_t>(node);
    return shallow_.empty() || levels_[n] <= levels ? bytes_[n] : shallow_[n];
  }

 private:
  std::vector<int32_t> bytes_, levels_;  // of the shortest way of all
  std::vector<int32_t> shallow_;         // bytes of the shortest of the ways with fewest levels
};

}  // namespace vl3::grammar
