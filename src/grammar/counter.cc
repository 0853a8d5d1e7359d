#include "grammar/counter.h"

#include <algorithm>
#include <utility>

#include "grammar/grammar.h"

namespace vl3::grammar {
namespace {

// A rule's nodes, without those of the rules that it calls.
class CountedNodes {
 public:
  using Row = std::vector<int32_t>;
  CountedNodes(const std::vector<std::vector<Edge>>& nodes, const std::vector<Rule>& rules, const Rule& rule,
               Budget& budget)
      : nodes_(nodes), rules_(rules), budget_(budget) {
    ids_ = {rule.start, rule.end};
    std::vector<uint8_t> seen(nodes.size(), 0);
    seen[static_cast<size_t>(rule.start)] = seen[static_cast<size_t>(rule.end)] = 1;
    for (size_t i = 0; i < ids_.size(); ++i) {
      for (const Edge& edge : nodes[static_cast<size_t>(ids_[i])]) {
        budget.tick();
        if (std::exchange(seen[static_cast<size_t>(edge.to)], uint8_t{1}) == 0) ids_.push_back(edge.to);
      }
    }
    // In the order in which they were added: most ways lead from lower to higher numbers.
    std::sort(ids_.begin(), ids_.end());
    start_ = index_of(rule.start);
    end_ = index_of(rule.end);
    for (const int32_t id : ids_) add_steps(id);
  }
  const std::vector<int32_t>& ids() const { return ids_; }

  // Fewest bytes to the end, where next has those behind one character more.
  Row row(const Row& next, bool may_end) const {
    budget_.spend(1 + static_cast<int64_t>(ids_.size()) / kCellsPerState);
    Row now(ids_.size(), Counter::kNever);
    if (may_end) now[end_] = 0;
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t n = ids_.size(); n-- > 0;) {
        for (size_t s = first_step_[n]; s < first_step_[n + 1]; ++s) {
          budget_.tick();
          const Step& step = steps_[s];
          const int32_t bytes = step.bytes == 0 ? now[step.to] : behind(step, next);
          if (bytes >= now[n]) continue;
          now[n] = bytes;
          changed = true;
        }
      }
    }
    return now;
  }

  // Rows for none, one, two, … characters more, up to the one that is as all behind it.
  std::vector<Row> rows() const {
    std::vector<Row> rows = {row(Row(ids_.size(), Counter::kNever), true)};
    for (;;) {
      Row more = row(rows.back(), true);
      if (more == rows.back()) return rows;
      rows.push_back(std::move(more));
    }
  }

 private:
  static constexpr int64_t kCellsPerState = 16;  // numbers of a row that cost as much as a state
  struct Step {
    size_t to;
    int32_t bytes;  // of a character; 0: none
  };
  size_t index_of(int32_t id) const {
    return static_cast<size_t>(std::lower_bound(ids_.begin(), ids_.end(), id) - ids_.begin());
  }
  static int32_t behind(const Step& step, const Row& next) {
    return next[step.to] == Counter::kNever ? Counter::kNever : ShortestEnds::sum(next[step.to], step.bytes);
  }
  void add_steps(int32_t id) {
    for (const Edge& edge : nodes_[static_cast<size_t>(id)]) {
      const int32_t bytes = edge.kind == EdgeKind::kCall ? called(edge.rule) : edge.kind == EdgeKind::kBytes;
      if (bytes != Counter::kNever) steps_.push_back({index_of(edge.to), bytes});
    }
    first_step_.push_back(steps_.size());
  }
  // Fewest bytes of a rule.
  int32_t called(int32_t rule) {
    if (called_.empty()) called_.assign(rules_.size(), -1);
    int32_t& bytes = called_[static_cast<size_t>(rule)];
    if (bytes < 0) {
      const CountedNodes inside(nodes_, rules_, rules_[static_cast<size_t>(rule)], budget_);
      bytes = inside.rows().back()[inside.start_];
    }
    return bytes;
  }

  const std::vector<std::vector<Edge>>& nodes_;
  const std::vector<Rule>& rules_;
  Budget& budget_;
  std::vector<int32_t> ids_;
  size_t start_ = 0, end_ = 0;
  std::vector<Step> steps_;  // those of node n: first_step_[n] up to first_step_[n + 1]
  std::vector<size_t> first_step_ = {0};
  std::vector<int32_t> called_;  // by rule; -1: not known yet
};

}  // namespace

Counter::Counter(int64_t min, int64_t max)
    : min_(static_cast<int32_t>(std::min<int64_t>(min, kMost))),
      max_(static_cast<int32_t>(std::min<int64_t>(max, kMost))) {}

void Counter::measure(const std::vector<std::vector<Edge>>& nodes, const std::vector<Rule>& rules,
                      const Rule& rule, Budget& budget) {
  const CountedNodes counted(nodes, rules, rule, budget);
  nodes_ = counted.ids();
  high_ = counted.rows();
  Row next(nodes_.size(), kNever);
  for (size_t n = 0; n < next.size(); ++n) next[n] = bytes(static_cast<int32_t>(n), min_);
  for (int32_t count = min_; count-- > 0;) low_.push_back(next = counted.row(next, false));
  std::reverse(low_.begin(), low_.end());
}

int32_t Counter::bytes(int32_t index, int32_t count) const {
  const auto n = static_cast<size_t>(index);
  if (count < min_ && static_cast<size_t>(count) < low_.size()) return low_[static_cast<size_t>(count)][n];
  if (max_ < 0) return high_.back()[n];
  if (count > max_) return kNever;
  return high_[std::min(static_cast<size_t>(max_ - count), high_.size() - 1)][n];
}

}  // namespace vl3::grammar
