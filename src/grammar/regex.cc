#include "grammar/regex.h"

#include "text/unicode.h"

namespace vl3::grammar {
namespace {

int32_t emit(CharNfa& nfa, const RegexNode& node, int32_t from, Budget& budget);

int32_t emit_repeat(CharNfa& nfa, const RegexNode& node, int32_t from, Budget& budget) {
  const RegexNode& body = node.parts.front();
  for (int64_t i = 0; i < node.min; ++i) {
    budget.spend();  // also where the body is empty
    from = emit(nfa, body, from, budget);
  }
  if (node.max < 0) {
    const int32_t loop = nfa.add_state(budget);
    nfa.add_edge(budget, from, -1, loop);
    nfa.add_edge(budget, emit(nfa, body, loop, budget), -1, loop);
    return loop;
  }
  const int32_t out = nfa.add_state(budget);
  for (int64_t i = node.min; i < node.max; ++i) {
    nfa.add_edge(budget, from, -1, out);
    from = emit(nfa, body, from, budget);
  }
  nfa.add_edge(budget, from, -1, out);
  return out;
}

// Adds what node matches behind a state; where that ends.
int32_t emit(CharNfa& nfa, const RegexNode& node, int32_t from, Budget& budget) {
  switch (node.kind) {
    case RegexNode::Kind::kSet: {
      const int32_t to = nfa.add_state(budget);
      nfa.add_edge(budget, from, nfa.add_set(node.set), to);
      return to;
    }
    case RegexNode::Kind::kSequence:
      for (const RegexNode& part : node.parts) from = emit(nfa, part, from, budget);
      return from;
    case RegexNode::Kind::kRepeat:
      return emit_repeat(nfa, node, from, budget);
    case RegexNode::Kind::kChoice:
      break;
  }
  const int32_t to = nfa.add_state(budget);
  for (const RegexNode& part : node.parts) {
    const int32_t begin = nfa.add_state(budget);  // a loop at its beginning must not be another part's
    nfa.add_edge(budget, from, -1, begin);
    nfa.add_edge(budget, emit(nfa, part, begin, budget), -1, to);
  }
  return to;
}

}  // namespace

CharNfa regex_nfa(std::string_view text, RegexMatch match, std::string_view origin, Budget& budget) {
  CharNfa nfa;
  nfa.start = nfa.add_state(budget);
  nfa.end = nfa.add_state(budget);
  const auto anything = [&](int32_t from) {
    const int32_t loop = nfa.add_state(budget);
    nfa.add_edge(budget, from, -1, loop);
    nfa.add_edge(budget, loop, nfa.add_set(CharSet::all()), loop);
    return loop;
  };
  for (const RegexNode& alternative : parse_regex(text, origin)) {
    int32_t at = nfa.add_state(budget);
    nfa.add_edge(budget, nfa.start, -1, at);
    if (match == RegexMatch::kSearch && !alternative.from_start) at = anything(at);
    at = emit(nfa, alternative, at, budget);
    if (match == RegexMatch::kSearch && !alternative.to_end) at = anything(at);
    nfa.add_edge(budget, at, -1, nfa.end);
  }
  return nfa;
}

}  // namespace vl3::grammar
