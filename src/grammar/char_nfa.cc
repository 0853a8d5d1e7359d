#include "grammar/char_nfa.h"

#include <algorithm>
#include <map>
#include <utility>

#include "text/unicode.h"

namespace vl3::grammar {
namespace {

// States of a product by the pair they stand for; new ones are put on the list of work.
class Pairs {
 public:
  Pairs(CharNfa& out, Budget& budget) : out_(out), budget_(budget) {}
  int32_t at(int64_t a, int64_t b) {
    const auto [found, fresh] = ids_.try_emplace({a, b}, 0);
    if (fresh) {
      found->second = out_.add_state(budget_);
      work_.emplace_back(a, b);
    }
    return found->second;
  }
  bool next(std::pair<int64_t, int64_t>& pair) {
    if (work_.empty()) return false;
    pair = work_.back();
    work_.pop_back();
    return true;
  }

 private:
  CharNfa& out_;
  Budget& budget_;
  std::map<std::pair<int64_t, int64_t>, int32_t> ids_;
  std::vector<std::pair<int64_t, int64_t>> work_;
};

void close(const CharNfa& nfa, std::vector<uint8_t>& in, std::vector<int32_t>& list, Budget& budget) {
  for (size_t i = 0; i < list.size(); ++i) {
    for (const CharNfa::Edge& edge : nfa.states[static_cast<size_t>(list[i])]) {
      budget.tick();
      if (edge.set >= 0 || in[static_cast<size_t>(edge.to)] != 0) continue;
      in[static_cast<size_t>(edge.to)] = 1;
      list.push_back(edge.to);
    }
  }
}

}  // namespace

int32_t CharNfa::add_state(Budget& budget) {
  budget.spend();
  states.emplace_back();
  return static_cast<int32_t>(states.size()) - 1;
}

void CharNfa::add_edge(Budget& budget, int32_t from, int32_t set, int32_t to) {
  budget.spend();
  states[static_cast<size_t>(from)].push_back({set, to});
}

int32_t CharNfa::add_set(const CharSet& set) {
  const auto found = std::find(sets.begin(), sets.end(), set);
  if (found != sets.end()) return static_cast<int32_t>(found - sets.begin());
  sets.push_back(set);
  return static_cast<int32_t>(sets.size()) - 1;
}

bool CharNfa::accepts(std::string_view text, Budget& budget) const {
  std::vector<uint8_t> in(states.size(), 0);
  std::vector<int32_t> now = {start};
  in[static_cast<size_t>(start)] = 1;
  close(*this, in, now, budget);
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text.data() + at);
    at += c.size;
    std::vector<int32_t> next;
    std::fill(in.begin(), in.end(), uint8_t{0});
    for (const int32_t state : now) {
      for (const Edge& edge : states[static_cast<size_t>(state)]) {
        budget.tick();
        if (edge.set < 0 || in[static_cast<size_t>(edge.to)] != 0) continue;
        if (!sets[static_cast<size_t>(edge.set)].contains(c.code)) continue;
        in[static_cast<size_t>(edge.to)] = 1;
        next.push_back(edge.to);
      }
    }
    close(*this, in, next, budget);
    now = std::move(next);
  }
  return in[static_cast<size_t>(end)] != 0;
}

bool SizedText::accepts(std::string_view text, Budget& budget) const {
  int64_t length = 0;
  for (size_t at = 0; at < text.size(); ++length) at += character_at(text.data() + at).size;
  return length >= min && (max < 0 || length <= max) && nfa.accepts(text, budget);
}

CharNfa any_text(Budget& budget) {
  CharNfa nfa;
  nfa.start = nfa.end = nfa.add_state(budget);
  nfa.add_edge(budget, nfa.start, nfa.add_set(CharSet::all()), nfa.start);
  return nfa;
}

CharNfa both(const CharNfa& a, const CharNfa& b, Budget& budget) {
  CharNfa out;
  Pairs pairs(out, budget);
  std::map<std::pair<int32_t, int32_t>, int32_t> sets;  // of a and b → of both; -1: empty
  out.start = pairs.at(a.start, b.start);
  out.end = pairs.at(a.end, b.end);
  std::pair<int64_t, int64_t> pair;
  while (pairs.next(pair)) {
    const int32_t from = pairs.at(pair.first, pair.second);
    const auto& edges_a = a.states[static_cast<size_t>(pair.first)];
    const auto& edges_b = b.states[static_cast<size_t>(pair.second)];
    for (const CharNfa::Edge& edge : edges_b) {
      if (edge.set < 0) out.add_edge(budget, from, -1, pairs.at(pair.first, edge.to));
    }
    for (const CharNfa::Edge& one : edges_a) {
      if (one.set < 0) {
        out.add_edge(budget, from, -1, pairs.at(one.to, pair.second));
        continue;
      }
      for (const CharNfa::Edge& other : edges_b) {
        budget.tick();
        if (other.set < 0) continue;
        const auto [found, fresh] = sets.try_emplace({one.set, other.set}, -1);
        if (fresh) {
          const CharSet shared =
              a.sets[static_cast<size_t>(one.set)].shared(b.sets[static_cast<size_t>(other.set)]);
          if (!shared.empty()) found->second = out.add_set(shared);
        }
        if (found->second >= 0) out.add_edge(budget, from, found->second, pairs.at(one.to, other.to));
      }
    }
  }
  return out;
}

CharNfa all_but(std::span<const std::string> words, Budget& budget) {
  CharNfa nfa;
  nfa.start = nfa.add_state(budget);
  nfa.end = nfa.add_state(budget);
  const int32_t other = nfa.add_state(budget);  // no word begins like this
  std::vector<std::map<uint32_t, int32_t>> children(3);
  std::vector<uint8_t> is_word(3, 0);
  for (const std::string& word : words) {
    int32_t at = nfa.start;
    for (size_t i = 0; i < word.size();) {
      const Character c = character_at(word.data() + i);
      i += c.size;
      const auto [found, fresh] = children[static_cast<size_t>(at)].try_emplace(c.code, 0);
      if (fresh) found->second = nfa.add_state(budget);
      at = found->second;
      children.resize(nfa.states.size());
      is_word.resize(nfa.states.size(), 0);
    }
    is_word[static_cast<size_t>(at)] = 1;
  }
  for (int32_t state = 0; state < static_cast<int32_t>(nfa.states.size()); ++state) {
    if (state == nfa.end) continue;
    CharSet rest = CharSet::all();
    std::vector<CharRange> taken;
    for (const auto& [c, child] : children[static_cast<size_t>(state)]) {
      nfa.add_edge(budget, state, nfa.add_set(CharSet::of(c)), child);
      taken.push_back({c, c});
    }
    nfa.add_edge(budget, state, nfa.add_set(rest.without(CharSet(std::move(taken)))), other);
    if (is_word[static_cast<size_t>(state)] == 0) nfa.add_edge(budget, state, -1, nfa.end);
  }
  return nfa;
}

}  // namespace vl3::grammar
