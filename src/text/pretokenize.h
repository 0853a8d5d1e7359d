#pragma once
// Cutting text into the words that byte-pair merging works on: what a tokenizer's regular expressions do, by
// hand and in one pass each.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/unicode.h"

namespace vl3 {

// The patterns it knows.
enum class SplitRule {
  kQwen2,        // Qwen2: contractions in any case, each digit alone
  kQwen2Three,   // the same with digits in groups of up to three (cl100k, Llama 3)
  kGpt2,         // GPT-2, the ByteLevel pre-tokenizer's own
  kDigit,        // each number alone, what is between in one piece (Digits of single ones)
  kThreeDigits,  // numbers in groups of up to three, what is between in one piece
  kDigits,       // runs of numbers, what is between in one piece
  kWhole,        // no cut
};

// The rule of a regular expression as tokenizer.json spells it; nothing for one it does not know.
std::optional<SplitRule> split_rule_of(std::string_view regex);
// Whether every character of any text is in a match of the rule's regular expression: then it is the same
// whether matches are isolated or all else is removed.
bool covers_everything(SplitRule rule);

// One pre-tokenizer of a sequence: each piece of the one before is cut anew, as if it were a text of its own.
struct SplitStep {
  SplitRule rule = SplitRule::kQwen2;
  bool prefix_space = false;  // a piece that does not begin with a space gets one first
};

class Pretokenizer {
 public:
  explicit Pretokenizer(SplitRule rule) : Pretokenizer(std::vector{SplitStep{rule, false}}) {}
  explicit Pretokenizer(std::vector<SplitStep> steps)
      : steps_(std::move(steps)), table_(&character_table()) {}

  // Calls word(std::string_view) with the words of text, which is valid UTF-8, in order; none is empty. A
  // view lasts as long as the call. For each step every byte is looked at a bounded number of times.
  template <class Word>
  void words(std::string_view text, const Word& word) const {
    if (!text.empty()) cut(text, 0, word);
  }

 private:
  template <class Word>
  void cut(std::string_view piece, size_t step, const Word& word) const {
    if (step == steps_.size()) {
      word(piece);
      return;
    }
    std::string longer;
    if (steps_[step].prefix_space && piece.front() != ' ') {
      longer.append(1, ' ').append(piece);
      piece = longer;
    }
    for (size_t at = 0; at < piece.size();) {
      const size_t end = word_end(steps_[step].rule, piece, at);
      cut(piece.substr(at, end - at), step + 1, word);
      at = end;
    }
  }

  // The end of the word that begins at `at`, above it. at < text.size(), a place where a word ended or 0.
  size_t word_end(SplitRule rule, std::string_view text, size_t at) const;
  // A character and what it is; past the end a space of size 0.
  struct Seen {
    char32_t code;
    uint32_t size;
    uint8_t flags;
    bool letter() const { return (flags & kLetter) != 0; }
    bool number() const { return (flags & kNumber) != 0; }
    bool space() const { return (flags & kSpace) != 0; }
    bool other() const { return (flags & (kLetter | kNumber | kSpace)) == 0; }
  };
  Seen look(std::string_view text, size_t at) const {
    if (at >= text.size()) return {0, 0, kSpace};
    const Character c = character_at(text.data() + at);
    return {c.code, c.size, (*table_)[c.code]};
  }
  template <class Condition>
  size_t run_end(std::string_view text, size_t at, Condition condition) const {
    while (at < text.size()) {
      const Seen c = look(text, at);
      if (!condition(c)) break;
      at += c.size;
    }
    return at;
  }
  size_t qwen2_word_end(std::string_view text, size_t at, int most_digits) const;
  size_t digits_end(std::string_view text, size_t at, int most_digits) const;
  size_t gpt2_word_end(std::string_view text, size_t at) const;
  size_t space_end(std::string_view text, size_t at, bool break_at_newlines) const;

  std::vector<SplitStep> steps_;
  const CharacterTable* table_;
};

}  // namespace vl3
