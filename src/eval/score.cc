#include "eval/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <optional>

#include "eval/letters.h"
#include "eval/plain_text.h"
#include "eval/spans.h"
#include "text/unicode.h"

namespace vl3::eval {
namespace {

// The first number: a sign where no word is before it, digits with commas between thousands, a fraction.
std::optional<double> first_number(std::string_view text) {
  const auto digit = [&](size_t i) { return i < text.size() && is_digit(text[i]); };
  for (size_t i = 0; i < text.size(); ++i) {
    const bool fraction = text[i] == '.' && digit(i + 1);
    if (!digit(i) && !fraction) continue;
    std::string number;
    if (i > 0 && text[i - 1] == '-' && (i == 1 || !is_word(text[i - 2]))) number = "-";
    for (; i < text.size(); ++i) {
      const bool thousands = text[i] == ',' && digit(i + 1) && digit(i + 2) && digit(i + 3) && !digit(i + 4);
      if (digit(i)) number += text[i];
      if (!digit(i) && !thousands) break;
    }
    if (i < text.size() && text[i] == '.' && digit(i + 1)) {
      number += '.';
      for (++i; digit(i); ++i) number += text[i];
    }
    return std::strtod(number.c_str(), nullptr);
  }
  return std::nullopt;
}

// A text that is nothing but a number, a per cent sign behind it or a currency before it.
std::optional<double> whole_number(std::string_view text) {
  std::string number;
  for (const char c : words(text)) {
    if (c != ',' && c != '$' && c != ' ') number += c;
  }
  const bool percent = !number.empty() && number.back() == '%';
  if (percent) number.pop_back();
  if (number.empty() || number.find_first_not_of("0123456789.+-e") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (end != number.c_str() + number.size() || !std::isfinite(value)) return std::nullopt;
  return percent ? value / 100 : value;
}

bool mentioned(const std::string& reply, const std::string& phrase) {
  const auto joined = [](char before, char after) { return is_word(before) && is_word(after); };
  // "3" is not mentioned by "3.5" nor by "0.3".
  const auto decimal = [&](size_t mark, size_t a, size_t b) {
    return mark < reply.size() && (reply[mark] == '.' || reply[mark] == ',') && a < reply.size() &&
           b < reply.size() && is_digit(reply[a]) && is_digit(reply[b]);
  };
  for (size_t at = reply.find(phrase); at != std::string::npos; at = reply.find(phrase, at + 1)) {
    const size_t end = at + phrase.size();
    const bool joins_before = at > 0 && (joined(reply[at - 1], reply[at]) || decimal(at - 1, at - 2, at));
    const bool joins_after =
        end < reply.size() && (joined(reply[end - 1], reply[end]) || decimal(end, end - 1, end + 1));
    if (!joins_before && !joins_after) return true;
  }
  return false;
}

std::u32string characters(const std::string& text) {
  std::u32string result;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text.data() + i);
    result += c.code;
    i += c.size;
  }
  return result;
}

size_t levenshtein(const std::u32string& a, const std::u32string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

double anls(std::string_view reply, std::string_view answer) {
  constexpr double kThreshold = 0.5;
  const std::u32string a = characters(plain(reply)), b = characters(plain(answer));
  const size_t longer = std::max(a.size(), b.size());
  if (longer == 0) return 1;
  const double similarity = 1 - static_cast<double>(levenshtein(a, b)) / static_cast<double>(longer);
  return similarity < kThreshold ? 0 : similarity;
}

bool relaxed(std::string_view reply, std::string_view answer) {
  constexpr double kRelative = 0.05;
  const auto got = whole_number(reply), wanted = whole_number(answer);
  if (!got || !wanted) return words(reply) == words(answer);
  return std::abs(*got - *wanted) <= kRelative * std::abs(*wanted);
}

bool near(std::string_view reply, std::string_view answer, double tolerance) {
  const auto got = first_number(reply), wanted = first_number(answer);
  // Decimal fractions as typed: 0.3 is within 0.1 of 0.2.
  return got && wanted &&
         std::abs(*got - *wanted) <= tolerance + 1e-9 * std::max({1.0, std::abs(*wanted), tolerance});
}

// Every answer to be found, in the ways in which OCRBench looks for them.
bool contains(std::string_view reply, std::string_view answer, bool symbols) {
  const auto prepared = [&](std::string_view text) {
    if (!symbols) return plain(text);
    std::string result(text);
    std::erase_if(result, is_space);
    return result;
  };
  return prepared(reply).find(prepared(answer)) != std::string::npos;
}

bool begins(std::string_view reply, std::string_view answer) {
  const auto prepared = [](std::string_view text) {
    std::string result = plain(text);
    for (const char* word : {"option", "sentence", "caption"}) result = plain(without(result, word));
    return result;
  };
  return prepared(reply).starts_with(prepared(answer));
}

// "yes", "no", or nothing.
std::string_view yes_or_no(std::string_view text) {
  const std::string said = plain(text);
  if (said.find("yes") != std::string::npos) return "yes";
  return said.find("no") != std::string::npos ? "no" : "";
}

std::optional<Span> span_of(const std::vector<std::string>& answers) {
  if (answers.size() != 2) return std::nullopt;
  const auto begin = whole_number(answers[0]), end = whole_number(answers[1]);
  if (!begin || !end || *begin < 0 || *end <= *begin) return std::nullopt;
  return Span{*begin, *end};
}

double score_one(std::string_view reply, std::string_view answer, const Expected& expected) {
  switch (expected.kind) {
    case ScoreKind::kExact:
      return words(reply) == words(answer);
    case ScoreKind::kNumber:
      return near(reply, answer, expected.tolerance);
    case ScoreKind::kChoice:
      return choice_of(reply) != '\0' && choice_of(reply) == choice_of(answer);
    case ScoreKind::kAnls:
      return anls(reply, answer);
    case ScoreKind::kRelaxed:
      return relaxed(reply, answer);
    case ScoreKind::kContains:
    case ScoreKind::kContainsSymbols:
      return contains(reply, answer, expected.kind == ScoreKind::kContainsSymbols);
    case ScoreKind::kYesNo:
      return !yes_or_no(reply).empty() && yes_or_no(reply) == yes_or_no(answer);
    case ScoreKind::kBegins:
      return begins(reply, answer);
    case ScoreKind::kFirstLetter:
    case ScoreKind::kWordLetter:
    case ScoreKind::kLastLetter:
      return picked(reply, expected) == letter_index(answer);
    case ScoreKind::kMentions:
    case ScoreKind::kTemporalIou:
    case ScoreKind::kNotScored:
      break;
  }
  return 0;
}

bool reads_letters(ScoreKind kind) {
  return kind == ScoreKind::kFirstLetter || kind == ScoreKind::kWordLetter || kind == ScoreKind::kLastLetter;
}

// Why an answer is none for this score; empty where it is one.
std::string answer_rejection(const std::string& answer, const Expected& expected) {
  const auto wrong = [&](std::string_view needs) {
    return fmt::format("\"answer\" is \"{}\", and the score \"{}\" needs {}", answer,
                       score_name(expected.kind), needs);
  };
  switch (expected.kind) {
    case ScoreKind::kNumber:
      return first_number(answer) ? "" : wrong("a number");
    case ScoreKind::kChoice:
      return choice_of(answer) != '\0' ? "" : wrong("a letter from A to H");
    case ScoreKind::kYesNo:
      return words(answer) == "yes" || words(answer) == "no" ? "" : wrong("yes or no");
    case ScoreKind::kContains:
    case ScoreKind::kContainsSymbols:
    case ScoreKind::kBegins:
      return plain(answer).empty() ? wrong("a text") : "";
    case ScoreKind::kFirstLetter:
    case ScoreKind::kWordLetter:
    case ScoreKind::kLastLetter: {
      const int letters = expected.options.letters();
      const int index = letter_index(answer);
      if (index >= 0 && index < letters) return "";
      return wrong(fmt::format("a letter from A to {}, as there are {} \"options\"",
                               static_cast<char>('A' + std::max(letters, 1) - 1), letters));
    }
    default:
      return "";
  }
}

}  // namespace

int picked(std::string_view reply, const Expected& expected) {
  if (expected.kind == ScoreKind::kWordLetter) return word_letter(reply, expected.options);
  if (expected.kind == ScoreKind::kLastLetter) return last_letter(reply, expected.options);
  return first_letter(reply, expected.options);
}

const std::vector<std::string>& score_names() {
  static const std::vector<std::string> names = {"exact",  "number",       "mentions",    "choice",
                                                 "anls",   "relaxed",      "contains",    "contains_symbols",
                                                 "yes_no", "first_letter", "word_letter", "last_letter",
                                                 "begins", "temporal_iou", "not_scored"};
  return names;
}

const std::string& score_name(ScoreKind kind) { return score_names()[static_cast<size_t>(kind)]; }

char choice_of(std::string_view reply) {
  const auto alone = [&](size_t i) {
    return (i == 0 || !is_word(reply[i - 1])) && (i + 1 == reply.size() || !is_word(reply[i + 1]));
  };
  for (size_t i = 0; i < reply.size(); ++i) {
    if (reply[i] >= 'A' && reply[i] <= 'H' && alone(i)) return reply[i];
  }
  const bool only_word = std::count_if(reply.begin(), reply.end(), is_word) == 1;
  for (size_t i = 0; i < reply.size(); ++i) {
    const bool letter = reply[i] >= 'a' && reply[i] <= 'h' && alone(i);
    if (letter && (reply[i] != 'a' || only_word)) return static_cast<char>(reply[i] - 'a' + 'A');
  }
  return '\0';
}

std::string rejection_reason(const Expected& expected) {
  if (expected.kind == ScoreKind::kMentions) {
    const bool empty = std::any_of(expected.mentions.begin(), expected.mentions.end(),
                                   [](const std::string& phrase) { return plain(phrase).empty(); });
    return expected.mentions.empty() || empty ? "\"mentions\" should be phrases that the reply must have"
                                              : "";
  }
  if (reads_letters(expected.kind) && (expected.options.letters() < 2 || expected.options.letters() > 26))
    return fmt::format("\"options\" should be 2 to 26 texts, or how many there are, for the score \"{}\"",
                       score_name(expected.kind));
  if (expected.kind == ScoreKind::kNotScored) return {};
  if (expected.answers.empty()) return "\"answer\" has no accepted answer";
  if (!(expected.tolerance >= 0)) return fmt::format("\"tolerance\" is {}, at least 0", expected.tolerance);
  if (expected.kind == ScoreKind::kTemporalIou)
    return span_of(expected.answers)
               ? ""
               : "\"answer\" should be two numbers of seconds, the begin and the later end, for the score "
                 "\"temporal_iou\"";
  for (const std::string& answer : expected.answers) {
    if (std::string wrong = answer_rejection(answer, expected); !wrong.empty()) return wrong;
  }
  return {};
}

double score(std::string_view reply, const Expected& expected) {
  if (expected.kind == ScoreKind::kMentions) {
    const std::string said = plain(reply);
    return std::all_of(expected.mentions.begin(), expected.mentions.end(),
                       [&](const std::string& phrase) { return mentioned(said, plain(phrase)); });
  }
  if (expected.kind == ScoreKind::kTemporalIou) {
    const std::optional<Span> wanted = span_of(expected.answers);
    return wanted ? overlap_over_union(spans_in(reply), *wanted) : 0;
  }
  double best = 0;
  for (const std::string& answer : expected.answers)
    best = std::max(best, score_one(reply, answer, expected));
  return best;
}

}  // namespace vl3::eval
