// What counts as right.

#include "eval/score.h"

#include "support/support.h"

namespace vl3::eval {
namespace {

double of(ScoreKind kind, const std::string& reply, std::vector<std::string> answers, double tolerance = 0) {
  return score(reply, {kind, std::move(answers), tolerance, {}});
}

TEST(Score, ExactIsWordForWordButForCaseSpaceAndFinalPunctuation) {
  const auto exact = [](const std::string& reply, std::vector<std::string> answers) {
    return of(ScoreKind::kExact, reply, std::move(answers));
  };
  EXPECT_EQ(exact("red", {"red"}), 1);
  EXPECT_EQ(exact("  Red.\n", {"red"}), 1);
  EXPECT_EQ(exact("the  red\tball!", {"The red ball."}), 1);
  EXPECT_EQ(exact("ÉTÉ", {"été"}), 1);
  EXPECT_EQ(exact("dark red", {"red"}), 0);
  EXPECT_EQ(exact("re d", {"red"}), 0);
  EXPECT_EQ(exact("1.5", {"15"}), 0);
  EXPECT_EQ(exact("", {"?"}), 0);
  EXPECT_EQ(exact("blue", {"red", "blue"}), 1);
  EXPECT_EQ(exact("\xff\xfe", {"red"}), 0);  // a reply may be any bytes
}

TEST(Score, NumberIsTheFirstOneWithinTolerance) {
  const auto number = [](const std::string& reply, const std::string& answer, double tolerance = 0) {
    return of(ScoreKind::kNumber, reply, {answer}, tolerance);
  };
  EXPECT_EQ(number("3.5s", "3.5"), 1);
  EXPECT_EQ(number("at 3.4 seconds, not 9", "3.5 s", 0.1), 1);
  EXPECT_EQ(number("0.3", "0.2", 0.1), 1);
  EXPECT_EQ(number("0.31", "0.2", 0.1), 0);
  EXPECT_EQ(number("1,250 people", "1250"), 1);
  EXPECT_EQ(number("1,2", "1"), 1);
  EXPECT_EQ(number("minus -4", "-4"), 1);
  EXPECT_EQ(number("A-4", "4"), 1);
  EXPECT_EQ(number(".5", "0.5"), 1);
  EXPECT_EQ(number("none", "0"), 0);
  EXPECT_EQ(number("", "0", 100), 0);
}

TEST(Score, MentionsNeedsEveryPhraseAtTheBoundariesOfWords) {
  const auto mentions = [](const std::string& reply, std::vector<std::string> phrases) {
    return score(reply, {ScoreKind::kMentions, {"whatever"}, 0, std::move(phrases)});
  };
  EXPECT_EQ(mentions("A RED circle  and a blue square.", {"red circle", "blue square"}), 1);
  EXPECT_EQ(mentions("a red circle", {"red circle", "blue square"}), 0);
  EXPECT_EQ(mentions("a tired circle", {"red circle"}), 0);
  EXPECT_EQ(mentions("reds, red", {"red"}), 1);
  EXPECT_EQ(mentions("row A: 85", {"row A: 8"}), 0);
  EXPECT_EQ(mentions("row A: 8.5", {"row A: 8"}), 0);
  EXPECT_EQ(mentions("row A: 8.", {"row A: 8"}), 1);
  EXPECT_EQ(mentions("0.3", {"3"}), 0);
  EXPECT_EQ(mentions("", {"red"}), 0);
}

TEST(Score, ChoiceIsTheFirstLetterThatStandsAlone) {
  EXPECT_EQ(choice_of("B"), 'B');
  EXPECT_EQ(choice_of("(C) a dog"), 'C');
  EXPECT_EQ(choice_of("Answer: D."), 'D');
  EXPECT_EQ(choice_of("Because it is E"), 'E');
  EXPECT_EQ(choice_of("b."), 'B');
  EXPECT_EQ(choice_of("(a)"), 'A');
  EXPECT_EQ(choice_of("it shows a dog, so c"), 'C');
  EXPECT_EQ(choice_of("it shows a dog"), '\0');
  EXPECT_EQ(choice_of("DOG"), '\0');
  EXPECT_EQ(choice_of("I"), '\0');
  EXPECT_EQ(of(ScoreKind::kChoice, "The answer is (B).", {"B"}), 1);
  EXPECT_EQ(of(ScoreKind::kChoice, "", {"B"}), 0);
}

TEST(Score, AnlsIsTheSimilarityAboveOneHalf) {
  const auto anls = [](const std::string& reply, std::vector<std::string> answers) {
    return of(ScoreKind::kAnls, reply, std::move(answers));
  };
  EXPECT_EQ(anls("Main Street", {"main  street"}), 1);
  EXPECT_DOUBLE_EQ(anls("kitten", {"sitting", "mittens"}), 1 - 2.0 / 7);
  EXPECT_DOUBLE_EQ(anls("naïve", {"naive"}), 1 - 1.0 / 5);  // characters, not bytes
  EXPECT_DOUBLE_EQ(anls("ab", {"abcd"}), 0.5);
  EXPECT_EQ(anls("a", {"abc"}), 0);
  EXPECT_EQ(anls("", {"abc"}), 0);
}

TEST(Score, RelaxedLetsNumbersBeFivePerCentOff) {
  const auto relaxed = [](const std::string& reply, const std::string& answer) {
    return of(ScoreKind::kRelaxed, reply, {answer});
  };
  EXPECT_EQ(relaxed("105", "100"), 1);
  EXPECT_EQ(relaxed("106", "100"), 0);
  EXPECT_EQ(relaxed("-95", "-100"), 1);
  EXPECT_EQ(relaxed("12%", "0.12"), 1);
  EXPECT_EQ(relaxed("1,000.", "1000"), 1);
  EXPECT_EQ(relaxed("0.01", "0"), 0);
  EXPECT_EQ(relaxed("0.0", "0"), 1);
  EXPECT_EQ(relaxed("Blue.", "blue"), 1);
  EXPECT_EQ(relaxed("100 people", "100"), 0);
}

TEST(Score, SaysWhatCannotBeScored) {
  EXPECT_NE(rejection_reason({ScoreKind::kExact, {}, 0, {}}), "");
  EXPECT_NE(rejection_reason({ScoreKind::kNumber, {"none"}, 0, {}}), "");
  EXPECT_NE(rejection_reason({ScoreKind::kNumber, {"1"}, -1, {}}), "");
  EXPECT_NE(rejection_reason({ScoreKind::kChoice, {"dog"}, 0, {}}), "");
  EXPECT_NE(rejection_reason({ScoreKind::kMentions, {"a"}, 0, {}}), "");
  EXPECT_NE(rejection_reason({ScoreKind::kMentions, {"a"}, 0, {" "}}), "");
  EXPECT_EQ(rejection_reason({ScoreKind::kMentions, {}, 0, {"a"}}), "");
  EXPECT_EQ(rejection_reason({ScoreKind::kChoice, {"(B)"}, 0, {}}), "");
}

TEST(Score, ContainsLooksForAnAnswerAnywhere) {
  const auto contains = [](const std::string& reply, std::vector<std::string> answers) {
    return of(ScoreKind::kContains, reply, std::move(answers));
  };
  EXPECT_EQ(contains("The sign reads EXIT\nONLY.", {"exit only"}), 1);
  EXPECT_EQ(contains("exits", {"exit"}), 1);
  EXPECT_EQ(contains("ex it", {"exit"}), 0);
  EXPECT_EQ(contains("", {"exit"}), 0);
  EXPECT_EQ(contains("b", {"a", "b"}), 1);
  EXPECT_EQ(of(ScoreKind::kContainsSymbols, "x ^ { 2 }\n+ y", {"x^{2} + y"}), 1);
  EXPECT_EQ(of(ScoreKind::kContainsSymbols, "X^2", {"x^2"}), 0);
}

TEST(Score, YesBeatsNoAndNeitherIsWrong) {
  const auto yes_no = [](const std::string& reply, const std::string& answer) {
    return of(ScoreKind::kYesNo, reply, {answer});
  };
  EXPECT_EQ(yes_no("Yes.", "Yes"), 1);
  EXPECT_EQ(yes_no("No, there is none.", "No"), 1);
  EXPECT_EQ(yes_no("no... yes", "Yes"), 1);
  EXPECT_EQ(yes_no("I do not know", "No"), 1);  // as the original counts it
  EXPECT_EQ(yes_no("maybe", "No"), 0);
  EXPECT_EQ(yes_no("", "No"), 0);
}

TEST(Score, BeginsPassesOverTheWordsForOptions) {
  const auto begins = [](const std::string& reply, const std::string& answer) {
    return of(ScoreKind::kBegins, reply, {answer});
  };
  EXPECT_EQ(begins("B. falling", "B"), 1);
  EXPECT_EQ(begins("b", "B"), 1);
  EXPECT_EQ(begins("Option 1: the man runs", "option 1"), 1);
  EXPECT_EQ(begins("Sentence 1", "Caption 1"), 1);
  EXPECT_EQ(begins("yes, it does", "yes"), 1);
  EXPECT_EQ(begins("it does", "yes"), 0);
  EXPECT_EQ(begins("", "yes"), 0);
}

TEST(Score, LettersAreReadInTheWayOfTheScore) {
  const auto picks = [](ScoreKind kind, const std::string& reply) {
    Expected expected{kind, {"B"}, 0, {}};
    expected.options = {{"cats", "dogs"}, 0};
    return score(reply, expected);
  };
  EXPECT_EQ(picks(ScoreKind::kFirstLetter, "dogs"), 1);
  EXPECT_EQ(picks(ScoreKind::kFirstLetter, "A or B"), 0);
  EXPECT_EQ(picks(ScoreKind::kWordLetter, "Animals: b"), 1);
  EXPECT_EQ(picks(ScoreKind::kLastLetter, "A or B"), 1);
  EXPECT_EQ(picks(ScoreKind::kLastLetter, "C"), 0);
}

TEST(Score, TimesAreScoredByTheirOverlap) {
  const auto iou = [](const std::string& reply) {
    return of(ScoreKind::kTemporalIou, reply, {"10", "20.0"});
  };
  EXPECT_DOUBLE_EQ(iou("from 10.0 to 20.0 seconds"), 1);
  EXPECT_DOUBLE_EQ(iou("from 15 to 25"), 5.0 / 15);
  EXPECT_DOUBLE_EQ(iou("never"), 0);
}

TEST(Score, WhatCannotBeScoredByItsScoreIsSaid) {
  const auto reason = [](ScoreKind kind, std::vector<std::string> answers, int options = 0) {
    Expected expected{kind, std::move(answers), 0, {}};
    expected.options.count = options;
    return rejection_reason(expected);
  };
  EXPECT_NE(reason(ScoreKind::kYesNo, {"maybe"}).find("yes or no"), std::string::npos);
  EXPECT_NE(reason(ScoreKind::kContains, {" "}), "");
  EXPECT_NE(reason(ScoreKind::kBegins, {""}), "");
  EXPECT_NE(reason(ScoreKind::kFirstLetter, {"A"}).find("\"options\""), std::string::npos);
  EXPECT_NE(reason(ScoreKind::kWordLetter, {"E"}, 4).find("from A to D"), std::string::npos);
  EXPECT_NE(reason(ScoreKind::kLastLetter, {"cat"}, 4), "");
  EXPECT_EQ(reason(ScoreKind::kLastLetter, {"D"}, 4), "");
  const std::vector<std::string> bad_spans[] = {{},         {"1"},       {"1", "2", "3"}, {"2", "1"},
                                                {"1", "1"}, {"-1", "2"}, {"a", "2"}};
  for (const auto& answers : bad_spans) EXPECT_NE(reason(ScoreKind::kTemporalIou, answers), "");
  EXPECT_EQ(reason(ScoreKind::kTemporalIou, {"0", "1.5"}), "");
  EXPECT_EQ(reason(ScoreKind::kNotScored, {}), "");
}

}  // namespace
}  // namespace vl3::eval
