#pragma once
// Automata over characters: what regular expressions become, and what excluded words restrict.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/budget.h"
#include "grammar/char_set.h"

namespace vl3::grammar {

struct CharNfa {
  struct Edge {
    int32_t set = -1;  // index in sets; -1: without a character
    int32_t to = 0;
  };
  std::vector<CharSet> sets;
  std::vector<std::vector<Edge>> states;
  int32_t start = 0, end = 0;

  int32_t add_state(Budget& budget);
  void add_edge(Budget& budget, int32_t from, int32_t set, int32_t to);
  int32_t add_set(const CharSet& set);  // the index of an equal one where there is one
  // Whether the whole text (valid UTF-8) is accepted.
  bool accepts(std::string_view text, Budget& budget) const;
};

// What an automaton accepts that has so many characters; max -1: no limit.
struct SizedText {
  CharNfa nfa;
  int64_t min = 0, max = -1;

  bool accepts(std::string_view text, Budget& budget) const;
};

// Any text.
CharNfa any_text(Budget& budget);
// Text that both accept.
CharNfa both(const CharNfa& a, const CharNfa& b, Budget& budget);
// Any text but these words.
CharNfa all_but(std::span<const std::string> words, Budget& budget);

}  // namespace vl3::grammar
