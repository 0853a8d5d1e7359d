#include "grammar/shortest.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <tuple>

#include "grammar/grammar.h"

namespace vl3::grammar {
namespace {

constexpr int32_t kNever = std::numeric_limits<int32_t>::max();

struct Way {
  int32_t bytes = kNever, levels = 0;
};

class Search {
 public:
  Search(const Grammar& grammar, Budget& budget)
      : grammar_(grammar), budget_(budget), into_(grammar.needs.size()) {
    for (size_t n = 0; n < into_.size(); ++n) {
      if (grammar.counted[n].counter >= 0) continue;  // as far as their count says
      for (int32_t e = grammar.first_edge[n]; e < grammar.first_edge[n + 1]; ++e) {
        const Edge& edge = grammar.edges[static_cast<size_t>(e)];
        const Use use{static_cast<int32_t>(n), e};
        into_[static_cast<size_t>(edge.to)].push_back(use);
        if (edge.kind == EdgeKind::kCall) into_[static_cast<size_t>(rule(edge).start)].push_back(use);
      }
    }
  }

  // Fewest bytes, and of those ways the fewest levels; shallow: along ways of the fewest levels alone. Ways
  // are settled from the shortest upwards (Dijkstra's algorithm, as Knuth has it for grammars: a call costs
  // what is in it and what is behind it, so neither is more).
  std::vector<Way> run(bool shallow) const {
    std::vector<Way> ways(into_.size());
    using Entry = std::tuple<int32_t, int32_t, int32_t>;  // bytes, levels, node
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    for (const Rule& rule : grammar_.rules) {
      if (rule.counter < 0) {
        queue.emplace(0, 0, rule.end);
      } else if (const int32_t bytes = counted_bytes(rule); bytes != Counter::kNever) {
        queue.emplace(bytes, 0, rule.start);
      }
    }
    while (!queue.empty()) {
      const auto [bytes, levels, node] = queue.top();
      queue.pop();
      Way& settled = ways[static_cast<size_t>(node)];
      if (settled.bytes != kNever) continue;
      settled = {bytes, levels};
      for (const Use& use : into_[static_cast<size_t>(node)]) {
        budget_.tick();
        const Edge& edge = grammar_.edges[static_cast<size_t>(use.edge)];
        if (ways[static_cast<size_t>(use.from)].bytes != kNever || (shallow && deepens(use))) continue;
        const Way way = through(edge, ways);
        if (way.bytes != kNever) queue.emplace(way.bytes, way.levels, use.from);
      }
    }
    return ways;
  }

 private:
  struct Use {
    int32_t from, edge;
  };
  const Rule& rule(const Edge& edge) const { return grammar_.rules[static_cast<size_t>(edge.rule)]; }
  int32_t counted_bytes(const Rule& rule) const {
    const int32_t index = grammar_.counted[static_cast<size_t>(rule.start)].index;
    return grammar_.counters[static_cast<size_t>(rule.counter)].bytes(index, 0);
  }
  int32_t needs(int32_t node) const { return grammar_.needs[static_cast<size_t>(node)]; }
  // Whether a node's way along an edge takes more levels than it needs.
  bool deepens(const Use& use) const {
    const Edge& edge = grammar_.edges[static_cast<size_t>(use.edge)];
    int32_t levels = needs(edge.to);
    if (edge.kind == EdgeKind::kCall)
      levels = std::max(levels, needs(rule(edge).start) + (rule(edge).nests ? 1 : 0));
    return levels > needs(use.from);
  }
  Way through(const Edge& edge, const std::vector<Way>& ways) const {
    Way way = ways[static_cast<size_t>(edge.to)];
    if (way.bytes == kNever) return way;
    if (edge.kind == EdgeKind::kBytes) way.bytes = ShortestEnds::sum(way.bytes, 1);
    if (edge.kind == EdgeKind::kCall) {
      const Way& inside = ways[static_cast<size_t>(rule(edge).start)];
      if (inside.bytes == kNever) return inside;
      way.bytes = ShortestEnds::sum(way.bytes, inside.bytes);
      way.levels = std::max(way.levels, inside.levels + (rule(edge).nests ? 1 : 0));
    }
    return way;
  }

  const Grammar& grammar_;
  Budget& budget_;
  std::vector<std::vector<Use>> into_;  // by the nodes that an edge waits for
};

}  // namespace

ShortestEnds::ShortestEnds(const Grammar& grammar, Budget& budget) {
  const Search search(grammar, budget);
  for (const Way& way : search.run(false)) {
    bytes_.push_back(way.bytes);
    levels_.push_back(way.levels);
  }
  const bool nests = std::any_of(grammar.rules.begin(), grammar.rules.end(), [](Rule r) { return r.nests; });
  if (!nests) return;
  for (const Way& way : search.run(true)) shallow_.push_back(way.bytes);
}

}  // namespace vl3::grammar
