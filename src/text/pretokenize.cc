#include "text/pretokenize.h"

#include <climits>

namespace vl3 {
namespace {

struct Spelling {
  std::string_view regex;
  SplitRule rule;
};

// Several spellings stand for one rule: possessive quantifiers and [sdmt] change nothing here.
constexpr std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2ThreeRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

constexpr Spelling kSpellings[] = {
    {kQwen2Regex, SplitRule::kQwen2},
    {kQwen2ThreeRegex, SplitRule::kQwen2Three},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     SplitRule::kQwen2Three},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kQwen2Three},
    {kGpt2Regex, SplitRule::kGpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", SplitRule::kGpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)", SplitRule::kGpt2},
    {R"(\p{N})", SplitRule::kDigit},
    {R"(\p{N}{1,3})", SplitRule::kThreeDigits},
    {R"(\p{N}+)", SplitRule::kDigits},
};

// Bytes of the contraction after an apostrophe, or 0.
size_t contraction(std::string_view rest, bool any_case) {
  // The long s is an s to a regular expression that ignores case; no other letter folds to one of these.
  if (any_case && rest.starts_with("\xC5\xBF")) return 2;
  const auto letter = [&](size_t i) -> char {
    if (i >= rest.size()) return '\0';
    const char c = rest[i];
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = letter(0), second = letter(1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 1;
  if ((first == 'r' || first == 'v') && second == 'e') return 2;
  return first == 'l' && second == 'l' ? 2 : 0;
}

bool newline(char32_t c) { return c == '\r' || c == '\n'; }

}  // namespace

std::optional<SplitRule> split_rule_of(std::string_view regex) {
  for (const Spelling& spelling : kSpellings) {
    if (regex == spelling.regex) return spelling.rule;
  }
  return std::nullopt;
}

bool covers_everything(SplitRule rule) {
  return rule == SplitRule::kQwen2 || rule == SplitRule::kQwen2Three || rule == SplitRule::kGpt2;
}

size_t Pretokenizer::word_end(SplitRule rule, std::string_view text, size_t at) const {
  switch (rule) {
    case SplitRule::kQwen2:
      return qwen2_word_end(text, at, 1);
    case SplitRule::kQwen2Three:
      return qwen2_word_end(text, at, 3);
    case SplitRule::kGpt2:
      return gpt2_word_end(text, at);
    case SplitRule::kDigit:
      return digits_end(text, at, 1);
    case SplitRule::kThreeDigits:
      return digits_end(text, at, 3);
    case SplitRule::kDigits:
      return digits_end(text, at, INT_MAX);
    case SplitRule::kWhole:
      break;
  }
  return text.size();
}

// Up to most_digits numbers, or all up to the next one.
size_t Pretokenizer::digits_end(std::string_view text, size_t at, int most_digits) const {
  if (!look(text, at).number()) return run_end(text, at, [](const Seen& s) { return !s.number(); });
  for (int count = 0; count < most_digits && at < text.size(); ++count) {
    const Seen c = look(text, at);
    if (!c.number()) break;
    at += c.size;
  }
  return at;
}

// \s*[\r\n]+ where the rule has it, then \s+(?!\S), then \s+: up to the last newline; else all of it at the
// end of the text; else all but the last, which the next word takes.
size_t Pretokenizer::space_end(std::string_view text, size_t at, bool break_at_newlines) const {
  size_t end = at, last = at, after_newline = at;
  while (end < text.size()) {
    const Seen c = look(text, end);
    if (!c.space()) break;
    last = end;
    end += c.size;
    if (newline(c.code)) after_newline = end;
  }
  if (break_at_newlines && after_newline > at) return after_newline;
  return end == text.size() || last == at ? end : last;
}

size_t Pretokenizer::qwen2_word_end(std::string_view text, size_t at, int most_digits) const {
  const auto letter = [](const Seen& s) { return s.letter(); };
  const Seen c = look(text, at);
  if (c.letter()) return run_end(text, at + c.size, letter);
  if (c.code == '\'') {
    if (const size_t size = contraction(text.substr(at + 1), true)) return at + 1 + size;
  }
  if (c.number()) return digits_end(text, at, most_digits);
  const Seen next = look(text, at + c.size);
  if (next.letter() && !newline(c.code)) return run_end(text, at + c.size + next.size, letter);
  if (c.other() || (c.code == ' ' && next.other())) {
    const size_t end = run_end(text, at + c.size, [](const Seen& s) { return s.other(); });
    return run_end(text, end, [](const Seen& s) { return newline(s.code); });
  }
  return space_end(text, at, true);
}

size_t Pretokenizer::gpt2_word_end(std::string_view text, size_t at) const {
  Seen c = look(text, at);
  if (c.code == '\'') {
    if (const size_t size = contraction(text.substr(at + 1), false)) return at + 1 + size;
  }
  size_t end = at;
  if (c.code == ' ') c = look(text, ++end);
  if (c.letter()) return run_end(text, end, [](const Seen& s) { return s.letter(); });
  if (c.number()) return run_end(text, end, [](const Seen& s) { return s.number(); });
  if (c.other()) return run_end(text, end, [](const Seen& s) { return s.other(); });
  return space_end(text, at, false);
}

}  // namespace vl3
