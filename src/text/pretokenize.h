#pragma once
// Cutting text into the words that byte-pair merging works on: what a tokenizer's regular expression does, by
// hand and in one pass.

#include <cstddef>
#include <optional>
#include <string_view>

#include "text/unicode.h"

namespace vl3 {

// The patterns it knows.
enum class SplitRule {
  kQwen2,       // Qwen2: contractions in any case, each digit alone
  kQwen2Three,  // the same with digits in groups of up to three (cl100k, Llama 3)
  kGpt2,        // GPT-2, the ByteLevel pre-tokenizer's own
};

// The rule of a regular expression as tokenizer.json spells it; nothing for one it does not know.
std::optional<SplitRule> split_rule_of(std::string_view regex);

class Pretokenizer {
 public:
  explicit Pretokenizer(SplitRule rule) : rule_(rule), table_(&character_table()) {}

  // The end of the word that begins at `at`, above it. text is valid UTF-8, at < text.size(), a place where a
  // word ended or 0. Over a whole text each byte is looked at a bounded number of times.
  size_t word_end(std::string_view text, size_t at) const {
    return rule_ == SplitRule::kGpt2 ? gpt2_word_end(text, at) : qwen2_word_end(text, at);
  }

 private:
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
  size_t qwen2_word_end(std::string_view text, size_t at) const;
  size_t gpt2_word_end(std::string_view text, size_t at) const;
  size_t space_end(std::string_view text, size_t at, bool break_at_newlines) const;

  SplitRule rule_;
  const CharacterTable* table_;
};

}  // namespace vl3
