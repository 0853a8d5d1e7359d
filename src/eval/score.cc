#include "eval/score.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <optional>

#include "text/unicode.h"

namespace vl3::eval {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
// Of a word: letters and digits, and every byte of other scripts' characters.
bool is_word(char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c & 0x80) != 0; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Without case, every run of white space one blank, none around.
std::string plain(std::string_view text) {
  const std::string valid = to_utf8(text);
  std::string folded;
  utf8proc_uint8_t* mapped = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(valid.data()),
                                 static_cast<utf8proc_ssize_t>(valid.size()), &mapped,
                                 static_cast<utf8proc_option_t>(UTF8PROC_CASEFOLD | UTF8PROC_COMPOSE));
  if (size >= 0) folded.assign(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
  std::free(mapped);
  std::string result;
  for (const char c : folded) {
    if (!is_space(c))
      result += c;
    else if (!result.empty() && result.back() != ' ')
      result += ' ';
  }
  if (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

// The same without final punctuation, unless there is nothing else.
std::string words(std::string_view text) {
  std::string result = plain(text);
  const size_t last = result.find_last_not_of(" .,;:!?");
  if (last != std::string::npos) result.resize(last + 1);
  return result;
}

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
    case ScoreKind::kMentions:
      break;
  }
  return 0;
}

}  // namespace

const std::vector<std::string>& score_names() {
  static const std::vector<std::string> names = {"exact", "number", "mentions", "choice", "anls", "relaxed"};
  return names;
}

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
  if (expected.answers.empty()) return "\"answer\" has no accepted answer";
  if (!(expected.tolerance >= 0)) return fmt::format("\"tolerance\" is {}, at least 0", expected.tolerance);
  for (const std::string& answer : expected.answers) {
    if (expected.kind == ScoreKind::kNumber && !first_number(answer))
      return fmt::format("\"answer\" is \"{}\", and the score \"number\" needs a number", answer);
    if (expected.kind == ScoreKind::kChoice && choice_of(answer) == '\0')
      return fmt::format("\"answer\" is \"{}\", and the score \"choice\" needs a letter from A to H", answer);
  }
  return {};
}

double score(std::string_view reply, const Expected& expected) {
  if (expected.kind == ScoreKind::kMentions) {
    const std::string said = plain(reply);
    return std::all_of(expected.mentions.begin(), expected.mentions.end(),
                       [&](const std::string& phrase) { return mentioned(said, plain(phrase)); });
  }
  double best = 0;
  for (const std::string& answer : expected.answers)
    best = std::max(best, score_one(reply, answer, expected));
  return best;
}

}  // namespace vl3::eval
