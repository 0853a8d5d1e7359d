#pragma once
// Rules whose texts have so many characters. The count stands beside the automaton (Matcher keeps it with the
// rule's frame), so a bound of thousands costs no copies of the rule.

#include <cstdint>
#include <limits>
#include <vector>

#include "grammar/budget.h"

namespace vl3::grammar {

struct Edge;
struct Rule;

// The bounds of a rule in which every range of bytes and every call is one character, and how far its nodes
// are from its end.
class Counter {
 public:
  static constexpr int32_t kNever = std::numeric_limits<int32_t>::max();
  static constexpr int32_t kMost = 1 << 30;  // characters; bounds beyond it are as this one

  // max -1: no limit.
  Counter(int64_t min, int64_t max);

  // Finds bytes() for the nodes of its rule, and their indices. The rules that it calls call none.
  void measure(const std::vector<std::vector<Edge>>& nodes, const std::vector<Rule>& rules, const Rule& rule,
               Budget& budget);
  const std::vector<int32_t>& nodes() const noexcept { return nodes_; }  // by index

  // The count behind one character more; it stays where it makes no difference any more.
  int32_t next(int32_t count) const noexcept {
    const int32_t most = max_ < 0 ? min_ : max_ + 1;
    return count < most ? count + 1 : most;
  }
  // Fewest bytes from a node, behind so many characters, to the rule's end within the bounds; kNever: no way.
  int32_t bytes(int32_t index, int32_t count) const;

 private:
  using Row = std::vector<int32_t>;
  int32_t min_, max_;
  std::vector<int32_t> nodes_;
  // Row c of low_: behind c characters, fewer than min_. Row r of high_: behind enough, with r more allowed;
  // the last one also for all above it.
  std::vector<Row> low_, high_;
};

}  // namespace vl3::grammar
