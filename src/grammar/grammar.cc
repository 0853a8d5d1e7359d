#include "grammar/grammar.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>

namespace vl3::grammar {
namespace {

constexpr int32_t kNever = std::numeric_limits<int32_t>::max();

// Bytes that no edge tells apart get one class.
void classify(Grammar& grammar) {
  std::bitset<257> begins;
  for (const Edge& edge : grammar.edges) {
    if (edge.kind != EdgeKind::kBytes) continue;
    begins.set(edge.first);
    begins.set(size_t{edge.last} + 1);
  }
  int current = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (byte > 0 && begins[byte]) ++current;
    grammar.byte_class[byte] = static_cast<uint8_t>(current);
  }
  grammar.num_classes = current + 1;
}

}  // namespace

int32_t GrammarBuilder::add_node() {
  budget_.spend();
  nodes_.emplace_back();
  plain_.push_back(0);
  return static_cast<int32_t>(nodes_.size()) - 1;
}

int32_t GrammarBuilder::add_rule(bool nests) {
  const int32_t start = add_node();
  rules_.push_back({start, add_node(), nests, -1});
  return static_cast<int32_t>(rules_.size()) - 1;
}

int32_t GrammarBuilder::add_counted_rule(int64_t min, int64_t max) {
  const int32_t id = add_rule();
  rules_.back().counter = static_cast<int32_t>(counters_.size());
  counters_.emplace_back(min, max);
  return id;
}

void GrammarBuilder::mark_helpers(int32_t first) { std::fill(plain_.begin() + first, plain_.end(), kHelper); }

void GrammarBuilder::bytes(int32_t from, uint8_t first, uint8_t last, int32_t to) {
  budget_.spend();
  nodes_[static_cast<size_t>(from)].push_back({EdgeKind::kBytes, first, last, -1, to});
}

void GrammarBuilder::skip(int32_t from, int32_t to) {
  budget_.spend();
  nodes_[static_cast<size_t>(from)].push_back({EdgeKind::kSkip, 0, 0, -1, to});
}

void GrammarBuilder::call(int32_t from, int32_t rule, int32_t to) {
  budget_.spend();
  nodes_[static_cast<size_t>(from)].push_back({EdgeKind::kCall, 0, 0, rule, to});
}

void GrammarBuilder::literal(int32_t from, std::string_view text, int32_t to) {
  skip(literal(from, text), to);
}

int32_t GrammarBuilder::literal(int32_t from, std::string_view text) {
  for (const char c : text) {
    const int32_t to = add_node();
    bytes(from, static_cast<uint8_t>(c), static_cast<uint8_t>(c), to);
    from = to;
  }
  return from;
}

int32_t GrammarBuilder::optional_space(int32_t from) {
  const int32_t to = add_node();
  bytes(from, ' ', ' ', to);
  skip(from, to);
  return to;
}

void GrammarBuilder::split_bytes(const std::bitset<256>& bytes) {
  if (bytes.all()) return;
  for (std::vector<Edge>& edges : nodes_) {
    std::vector<Edge> kept;
    for (const Edge& edge : edges) {
      budget_.tick();
      if (edge.kind != EdgeKind::kBytes) {
        kept.push_back(edge);
        continue;
      }
      for (int first = edge.first; first <= edge.last; ++first) {
        if (!bytes[static_cast<size_t>(first)]) continue;
        int last = first;
        while (last < edge.last && bytes[static_cast<size_t>(last) + 1]) ++last;
        kept.push_back(
            {EdgeKind::kBytes, static_cast<uint8_t>(first), static_cast<uint8_t>(last), -1, edge.to});
        first = last;
      }
    }
    edges = std::move(kept);
  }
}

// A rule that has no text within its bounds loses its beginning.
std::vector<Grammar::Counted> GrammarBuilder::count_nodes() {
  std::vector<Grammar::Counted> counted(nodes_.size());
  for (const Rule& rule : rules_) {
    if (rule.counter < 0) continue;
    Counter& counter = counters_[static_cast<size_t>(rule.counter)];
    counter.measure(nodes_, rules_, rule, budget_);
    int32_t index = 0;
    for (const int32_t node : counter.nodes()) counted[static_cast<size_t>(node)] = {rule.counter, index++};
    if (counter.bytes(counted[static_cast<size_t>(rule.start)].index, 0) == Counter::kNever)
      nodes_[static_cast<size_t>(rule.start)].clear();
  }
  return counted;
}

// Levels are settled from the fewest upwards (Dijkstra; a call needs the larger of what is in it and behind
// it). kNever: does not come to an end at all.
std::vector<int32_t> GrammarBuilder::levels_needed() const {
  struct Use {
    int32_t from;
    Edge edge;
  };
  std::vector<std::vector<Use>> into(nodes_.size());  // by the nodes that an edge waits for
  for (size_t n = 0; n < nodes_.size(); ++n) {
    for (const Edge& edge : nodes_[n]) {
      into[static_cast<size_t>(edge.to)].push_back({static_cast<int32_t>(n), edge});
      if (edge.kind == EdgeKind::kCall)
        into[static_cast<size_t>(rule(edge.rule).start)].push_back({static_cast<int32_t>(n), edge});
    }
  }
  std::vector<int32_t> needs(nodes_.size(), kNever);
  using Entry = std::pair<int32_t, int32_t>;  // levels, node
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  for (const Rule& rule : rules_) queue.emplace(0, rule.end);
  while (!queue.empty()) {
    const auto [levels, node] = queue.top();
    queue.pop();
    int32_t& settled = needs[static_cast<size_t>(node)];
    if (settled != kNever) continue;
    settled = levels;
    for (const Use& use : into[static_cast<size_t>(node)]) {
      budget_.tick();
      int32_t through = needs[static_cast<size_t>(use.edge.to)];
      if (use.edge.kind == EdgeKind::kCall && through != kNever) {
        const Rule& called = rule(use.edge.rule);
        const int32_t inside = needs[static_cast<size_t>(called.start)];
        through = inside == kNever ? kNever : std::max(through, inside + (called.nests ? 1 : 0));
      }
      if (through != kNever && needs[static_cast<size_t>(use.from)] == kNever)
        queue.emplace(through, use.from);
    }
  }
  return needs;
}

Grammar GrammarBuilder::finish(int32_t root, int max_depth, const std::bitset<256>& bytes,
                               std::string_view origin) {
  split_bytes(bytes);
  Grammar grammar;
  grammar.counted = count_nodes();
  grammar.needs = levels_needed();
  const int32_t needed = grammar.needs[static_cast<size_t>(rule(root).start)];
  require(needed != kNever, ErrorCode::kInvalidArgument,
          "[{}] nothing can match: it contradicts itself, or never comes to an end", origin);
  require(needed <= max_depth, ErrorCode::kLimitExceeded, "[{}] needs {} levels of nesting; at most {}",
          origin, needed, max_depth);
  grammar.ends_rule.assign(nodes_.size(), 0);
  for (const Rule& rule : rules_) grammar.ends_rule[static_cast<size_t>(rule.end)] = 1;
  for (const std::vector<Edge>& edges : nodes_) {
    grammar.first_edge.push_back(static_cast<int32_t>(grammar.edges.size()));
    for (const Edge& edge : edges) {
      const bool dead = grammar.needs[static_cast<size_t>(edge.to)] == kNever ||
                        (edge.kind == EdgeKind::kCall &&
                         grammar.needs[static_cast<size_t>(rule(edge.rule).start)] == kNever);
      if (!dead) grammar.edges.push_back(edge);
    }
  }
  grammar.first_edge.push_back(static_cast<int32_t>(grammar.edges.size()));
  grammar.plain = std::move(plain_);
  grammar.rules = std::move(rules_);
  grammar.counters = std::move(counters_);
  grammar.root = root;
  grammar.max_depth = max_depth;
  grammar.shortest = ShortestEnds(grammar, budget_);
  classify(grammar);
  return grammar;
}

}  // namespace vl3::grammar
