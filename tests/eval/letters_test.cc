// The options that replies pick, in each way of the original evaluation.

#include "eval/letters.h"

#include <gtest/gtest.h>

namespace vl3::eval {
namespace {

const Options kFour{{"A cat", "Two dogs.", "3", "nothing at all"}, 0};

TEST(Letters, AnAnswerIsOneLetter) {
  EXPECT_EQ(letter_index("A"), 0);
  EXPECT_EQ(letter_index("(c)"), 2);
  EXPECT_EQ(letter_index(" Z. "), 25);
  for (const char* text : {"", "AB", "1", "é", "A B", "."}) EXPECT_EQ(letter_index(text), -1) << text;
}

TEST(FirstLetter, IsAnyCapitalOfTheOptions) {
  const std::pair<const char*, int> replies[] = {{"B", 1},
                                                 {"(B) two dogs", 1},
                                                 {"The answer is C.", 2},
                                                 {"Answer: D", 3},
                                                 {"Bird", 1},
                                                 {"E or F, no: A", 0},
                                                 {"[C]", 2},
                                                 {"answer", -1},
                                                 {"it is 3", 2},
                                                 {"it is three.", 2},
                                                 {"TWO DOGS", 3},  // of DOGS
                                                 {"two dogs.", 1},
                                                 {"a cat", 0},
                                                 {"", -1},
                                                 {"nothing at all", 3},
                                                 {"something", -1},
                                                 {"the answer: b", -1}};
  for (const auto& [reply, index] : replies) EXPECT_EQ(first_letter(reply, kFour), index) << reply;
  const Options count{{}, 2};
  EXPECT_EQ(first_letter("C, no: B", count), 1);
  EXPECT_EQ(first_letter("a cat", count), -1);
  EXPECT_EQ(first_letter("it is", {{"", "."}, 0}), -1) << "an option without words is in every reply";
}

TEST(WordLetter, StandsAloneWhateverItsCase) {
  const std::pair<const char*, int> replies[] = {{"B", 1},     {"b.", 1},  {"(d)", 3},   {"Bird C", 2},
                                                 {"a cat", 0}, {"E d", 3}, {"B_1 c", 2}, {"ABCD", -1},
                                                 {"", -1},     {"É", -1},  {"two", -1}};
  for (const auto& [reply, index] : replies) EXPECT_EQ(word_letter(reply, kFour), index) << reply;
}

TEST(LastLetter, PrefersBoxesThenParenthesesThenBlanksThenWords) {
  const std::pair<const char*, int> replies[] = {{"so \\boxed{B}, not (C)", 1},
                                                 {"\\boxed{E} (C)", -1},
                                                 {"\\boxed{B. two dogs}", -1},
                                                 {"(A) or (C) or D", 2},
                                                 {"A or C or D.", 3},
                                                 {"A, C", 2},
                                                 {"B?!", 1},
                                                 {"B!?", -1},  // as the original takes marks off
                                                 {"I saw the two dogs. and later a cat there", 0},
                                                 {"only two dogs.", -1},  // too short to be searched
                                                 {"(E)", -1},
                                                 {"b", -1},
                                                 {"", -1},
                                                 {"...", -1}};
  for (const auto& [reply, index] : replies) EXPECT_EQ(last_letter(reply, kFour), index) << reply;
}

}  // namespace
}  // namespace vl3::eval
