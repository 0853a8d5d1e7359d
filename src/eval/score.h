#pragma once
// How a reply is compared with what was expected. docs/evaluation.md says which benchmark scores in which
// way.

#include <string>
#include <string_view>
#include <vector>

#include "eval/letters.h"

namespace vl3::eval {

enum class ScoreKind {
  kExact,
  kNumber,
  kMentions,
  kChoice,
  kAnls,
  kRelaxed,
  kContains,
  kContainsSymbols,
  kYesNo,
  kFirstLetter,
  kWordLetter,
  kLastLetter,
  kBegins,
  kTemporalIou,
  kNotScored
};
const std::vector<std::string>& score_names();  // "exact", "number", … in the order of ScoreKind
const std::string& score_name(ScoreKind kind);

struct Expected {
  ScoreKind kind = ScoreKind::kExact;
  std::vector<std::string> answers;   // accepted ones: the best of them counts
  double tolerance = 0;               // of kNumber, absolute
  std::vector<std::string> mentions;  // of kMentions
  Options options;                    // of kFirstLetter, kWordLetter and kLastLetter
};

// Why nothing could be scored by this, or empty: no answers, an answer without number or letter, no phrases,
// a tolerance that is negative.
std::string rejection_reason(const Expected& expected);

// A score in [0, 1]:
//   exact     1 where the words are the same; case, white space and final punctuation do not count.
//   number    1 where the first number of the reply is within tolerance of the first one of the answer
//             ("3.5s" is 3.5, "1,250" is 1250).
//   mentions  1 where every phrase occurs in the reply, whatever the case, not as a part of a longer word or
//             number.
//   choice    1 where choice_of(reply) is choice_of(answer).
//   anls      1 − d / n, or 0 where that is below 0.5: d the Levenshtein distance and n the length of the
//             longer text, in characters, without case and repeated white space (DocVQA, InfoVQA).
//   relaxed   numbers: 1 within 5 % of the answer, "12%" being 0.12; other texts: as exact (ChartQA).
//   contains  1 where the answer is a part of the reply, without case and repeated white space (OCRBench).
//   contains_symbols  likewise with case, and without any white space (OCRBench, HME100k).
//   yes_no    1 where the reply has the answer's word: "yes", also in a word, else "no" (MME).
//   first_letter, word_letter, last_letter  1 where the option that they pick (letters.h) is the answer's.
//   begins    1 where the reply begins like the answer, without case and white space that is repeated, and
//             without the words option, sentence and caption (TempCompass).
//   temporal_iou  the overlap of the spans that the reply tells (spans.h) with the answer's, over their
//   union. not_scored    always 0: such samples are asked, and counted by nobody.
double score(std::string_view reply, const Expected& expected);

// The option that a reply picks in the way of its score, first_letter for those that have no way of their
// own; -1: none.
int picked(std::string_view reply, const Expected& expected);

// The letter that a reply to a multiple-choice question picks: the first capital A to H that stands alone
// ("B", "(B)", "Answer: B."), else the first such small letter but for the word "a"; "a" only where the reply
// has nothing else. '\0': none.
char choice_of(std::string_view reply);

}  // namespace vl3::eval
