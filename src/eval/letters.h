#pragma once
// The options that replies to multiple-choice questions pick, in the ways of the original evaluation of
// VideoLLaMA3. docs/evaluation.md says which set is read in which way.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vl3::eval {

// A question's options.
struct Options {
  std::vector<std::string> texts;  // in order, without their letters; empty: a reply in words picks none
  int count = 0;                   // where there are no texts
  int letters() const noexcept { return texts.empty() ? count : static_cast<int>(texts.size()); }
};

// 0 for "A", "(a)", "B." being 1: a text that is one letter, with nothing but punctuation around it; else -1.
int letter_index(std::string_view text);

// Each gives the index of an option, or -1.

// The first capital letter of an option, also in a word, behind "answer" and "Answer" taken out; without one
// the first option whose text the reply has, whatever the case, or, of a digit, its English word.
int first_letter(std::string_view reply, const Options& options);

// The first letter of an option that stands alone, whatever its case.
int word_letter(std::string_view reply, const Options& options);

// What the first boxed{…} holds, if that is one letter and nothing else; without one the last letter in
// parentheses, without these the last between blanks (or an end that may have punctuation), and of a reply of
// more than five words without these the option whose text comes last in it.
int last_letter(std::string_view reply, const Options& options);

}  // namespace vl3::eval
