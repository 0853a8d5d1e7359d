#pragma once
// Characters as bytes of a grammar: plain UTF-8, or as they are spelt within a JSON string.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/char_nfa.h"
#include "grammar/grammar.h"

namespace vl3::grammar {

// Text within a JSON string, spelt the one way that compact writers agree on: what must be escaped is, with
// the short escape where there is one, and nothing else.
std::string json_escaped(std::string_view text);

class TextRules {
 public:
  enum class Spelling : uint8_t { kPlain, kJson };
  TextRules(GrammarBuilder& builder, Spelling spelling) : builder_(builder), spelling_(spelling) {}

  // One character of the set.
  void one_of(int32_t from, const CharSet& set, int32_t to);
  // What the automaton accepts.
  void text(int32_t from, const CharNfa& nfa, int32_t to);
  void text(int32_t from, const SizedText& sized, int32_t to);

 private:
  int32_t rule_beyond_ascii(const CharSet& set);
  GrammarBuilder& builder_;
  Spelling spelling_;
  std::map<std::vector<std::pair<uint32_t, uint32_t>>, int32_t> rules_;  // by the ranges they stand for
};

// All characters of several bytes, marked as a helper of plain text.
void add_characters_beyond_ascii(GrammarBuilder& builder, int32_t from, const CharSet& set, int32_t to);

// One of these texts, each as it is. Beginnings in common are joined.
void add_words(GrammarBuilder& builder, int32_t from, std::span<const std::string> words, int32_t to);

}  // namespace vl3::grammar
