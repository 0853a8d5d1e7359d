#include "text/pretokenize.h"

namespace vl3 {
namespace {

constexpr std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2ThreeRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

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
  if (regex == kQwen2Regex) return SplitRule::kQwen2;
  if (regex == kQwen2ThreeRegex) return SplitRule::kQwen2Three;
  if (regex == kGpt2Regex) return SplitRule::kGpt2;
  return std::nullopt;
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

size_t Pretokenizer::qwen2_word_end(std::string_view text, size_t at) const {
  const auto letter = [](const Seen& s) { return s.letter(); };
  const Seen c = look(text, at);
  if (c.letter()) return run_end(text, at + c.size, letter);
  if (c.code == '\'') {
    if (const size_t size = contraction(text.substr(at + 1), true)) return at + 1 + size;
  }
  if (c.number()) {
    size_t end = at + c.size;
    for (int more = rule_ == SplitRule::kQwen2Three ? 2 : 0; more > 0; --more) {
      const Seen next = look(text, end);
      if (!next.number()) break;
      end += next.size;
    }
    return end;
  }
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
