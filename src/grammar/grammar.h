#pragma once
// A grammar over bytes as a graph: rules whose nodes are joined by bytes, by nothing, and by calls of rules.

#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "grammar/budget.h"
#include "grammar/counter.h"
#include "grammar/shortest.h"

namespace vl3::grammar {

enum class EdgeKind : uint8_t { kBytes, kSkip, kCall };

struct Edge {
  EdgeKind kind = EdgeKind::kSkip;
  uint8_t first = 0, last = 0;  // of kBytes
  int32_t rule = -1;            // of kCall
  int32_t to = -1;
};

struct Rule {
  int32_t start = -1, end = -1;  // nothing leaves the end
  bool nests = false;            // counts as a level of nesting
  int32_t counter = -1;          // the one that bounds its characters
};

// Finished: what cannot come to an end is left out, so that whatever a matcher lets in can be completed.
struct Grammar {
  std::vector<Rule> rules;
  std::vector<Edge> edges;  // those of node n: first_edge[n] up to first_edge[n + 1]
  std::vector<int32_t> first_edge;
  std::vector<int32_t> needs;      // levels of nesting that a node needs to come to its rule's end
  std::vector<uint8_t> ends_rule;  // whether the node is a rule's end
  std::vector<uint8_t> plain;      // see GrammarBuilder::set_plain
  // Whose characters a node counts (-1: none), and its index there.
  struct Counted {
    int32_t counter = -1, index = 0;
  };
  std::vector<Counter> counters;
  std::vector<Counted> counted;  // by node
  ShortestEnds shortest;
  std::array<uint8_t, 256> byte_class{};  // bytes of one class are alike everywhere
  int num_classes = 0;
  int32_t root = -1;
  int max_depth = 0;
};

class GrammarBuilder {
 public:
  explicit GrammarBuilder(Budget& budget) : budget_(budget) {}
  Budget& budget() noexcept { return budget_; }

  int32_t add_node();
  int32_t add_rule(bool nests = false);  // with a start and an end
  // With so many characters: every range of bytes and every call in it is one, and what it calls calls
  // nothing. Not the root of a grammar. max -1: no limit.
  int32_t add_counted_rule(int64_t min, int64_t max);
  const Rule& rule(int32_t id) const { return rules_[static_cast<size_t>(id)]; }

  void bytes(int32_t from, uint8_t first, uint8_t last, int32_t to);
  void skip(int32_t from, int32_t to);
  void call(int32_t from, int32_t rule, int32_t to);
  void literal(int32_t from, std::string_view text, int32_t to);
  int32_t literal(int32_t from, std::string_view text);
  // A space or none.
  int32_t optional_space(int32_t from);

  // From this node so many plain characters (TokenTrie::kPlain) may follow, and no more unless another node
  // allows them; kAnyPlain: no limit. Those of several bytes are in calls of rules marked as helpers.
  // None of them may lead farther from the rule's end.
  static constexpr uint8_t kAnyPlain = 255;
  static constexpr uint8_t kHelper = 254;
  void set_plain(int32_t node, uint8_t count) { plain_[static_cast<size_t>(node)] = count; }
  void mark_helpers(int32_t first);  // all nodes from this one on

  // The grammar of what root matches, nested at most max_depth levels, written with these bytes alone.
  // Throws kInvalidArgument, with origin, where nothing is left.
  Grammar finish(int32_t root, int max_depth, const std::bitset<256>& bytes, std::string_view origin);

 private:
  void split_bytes(const std::bitset<256>& bytes);
  std::vector<Grammar::Counted> count_nodes();
  std::vector<int32_t> levels_needed() const;
  Budget& budget_;
  std::vector<std::vector<Edge>> nodes_;
  std::vector<uint8_t> plain_;
  std::vector<Rule> rules_;
  std::vector<Counter> counters_;
};

}  // namespace vl3::grammar
