#include "jinja/lexer.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/check.h"

namespace vl3::jinja {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  Lexer(const std::string& source, const std::string& name) : name_(name) {
    for (size_t i = 0; i < source.size(); ++i) {  // every kind of line end becomes one
      if (source[i] != '\r')
        source_ += source[i];
      else if (i + 1 >= source.size() || source[i + 1] != '\n')
        source_ += '\n';
    }
    if (source_.ends_with('\n')) source_.pop_back();  // keep_trailing_newline is off
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    add(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  template <class... Args>
  [[noreturn]] void wrong(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::kFormat, "[{}] line {}: {}", name_, line_,
         fmt::format(format, std::forward<Args>(args)...));
  }
  void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  bool next_is(std::string_view text) const {
    return std::string_view(source_).substr(at_).starts_with(text);
  }
  void skip(size_t count) {
    line_ += static_cast<int>(
        std::count(source_.begin() + static_cast<ptrdiff_t>(at_),
                   source_.begin() + static_cast<ptrdiff_t>(std::min(at_ + count, source_.size())), '\n'));
    at_ = std::min(at_ + count, source_.size());
  }

  // Text up to the next tag, and that tag.
  void text() {
    size_t open = at_;
    while (open < source_.size()) {
      open = source_.find('{', open);
      if (open == std::string::npos) open = source_.size();
      if (open + 1 >= source_.size())
        open = source_.size();
      else if (source_[open + 1] != '{' && source_[open + 1] != '%' && source_[open + 1] != '#') {
        ++open;
        continue;
      }
      break;
    }
    std::string data = source_.substr(at_, open - at_);
    const size_t begin = at_;
    skip(open - at_);
    if (open == source_.size()) {
      if (!data.empty()) add(Token::Kind::kText, data);
      return;
    }
    const char kind = source_[open + 1], control = open + 2 < source_.size() ? source_[open + 2] : ' ';
    if (control == '-') {
      while (!data.empty() && is_space(data.back())) data.pop_back();
    } else if (kind != '{' &&
               control != '+') {  // lstrip_blocks: a tag alone on its line takes its indentation along
      size_t end = data.size();
      while (end > 0 && (data[end - 1] == ' ' || data[end - 1] == '\t')) --end;
      const bool line_start = end > 0 ? data[end - 1] == '\n' : begin == 0 || after_newline_;
      if (line_start) data.resize(end);
    }
    if (!data.empty()) add(Token::Kind::kText, data);
    skip(control == '-' || (control == '+' && kind != '{') ? 3 : 2);
    if (kind == '#')
      comment();
    else if (kind == '{')
      inside(Token::Kind::kOutputBegin, Token::Kind::kOutputEnd, "}}");
    else if (!raw())
      inside(Token::Kind::kTagBegin, Token::Kind::kTagEnd, "%}");
  }

  // What follows a tag's end: "-" takes all white space, otherwise a tag or comment takes the end of its
  // line.
  void after(bool strip, bool keep, bool block) {
    after_newline_ = false;
    if (strip) {
      while (at_ < source_.size() && is_space(source_[at_])) {
        after_newline_ = after_newline_ || source_[at_] == '\n';
        skip(1);
      }
      after_newline_ = after_newline_ && at_ > 0 && source_[at_ - 1] == '\n';
    } else if (block && !keep && at_ < source_.size() && source_[at_] == '\n') {
      skip(1);
      after_newline_ = true;
    }
  }

  void comment() {
    const size_t close = source_.find("#}", at_);
    if (close == std::string::npos) wrong("a comment does not end");
    const bool strip = close > at_ && source_[close - 1] == '-',
               keep = close > at_ && source_[close - 1] == '+';
    skip(close + 2 - at_);
    after(strip, keep, true);
  }

  // {% raw %} … {% endraw %}: text as it is. False where the tag is another one.
  bool raw() {
    size_t p = at_;
    const auto word = [&](std::string_view expected) {
      while (p < source_.size() && is_space(source_[p])) ++p;
      if (source_.compare(p, expected.size(), expected) != 0) return false;
      p += expected.size();
      while (p < source_.size() && is_space(source_[p])) ++p;
      return true;
    };
    if (!word("raw")) return false;
    const bool strip = p < source_.size() && source_[p] == '-';
    if (strip || (p < source_.size() && source_[p] == '+')) ++p;
    if (source_.compare(p, 2, "%}") != 0) return false;
    skip(p + 2 - at_);
    after(strip, false, true);
    for (size_t open = source_.find("{%", at_); open != std::string::npos;
         open = source_.find("{%", open + 2)) {
      p = open + 2;
      const bool strip_before = p < source_.size() && source_[p] == '-';
      if (strip_before || (p < source_.size() && source_[p] == '+')) ++p;
      if (!word("endraw")) continue;
      const bool strip_after = p < source_.size() && source_[p] == '-';
      if (strip_after) ++p;
      if (source_.compare(p, 2, "%}") != 0) continue;
      std::string data = source_.substr(at_, open - at_);
      while (strip_before && !data.empty() && is_space(data.back())) data.pop_back();
      if (!data.empty()) add(Token::Kind::kText, data);
      skip(p + 2 - at_);
      after(strip_after, false, true);
      return true;
    }
    wrong("raw does not end");
  }

  void inside(Token::Kind begin, Token::Kind end, std::string_view close) {
    add(begin, "");
    int depth = 0;  // of brackets: "}}" may close two dicts
    for (;;) {
      while (at_ < source_.size() && is_space(source_[at_])) skip(1);
      if (at_ >= source_.size()) wrong("a tag does not end with {}", close);
      const char c = source_[at_];
      const bool strip = c == '-' && source_.compare(at_ + 1, 2, close) == 0;
      const bool keep = c == '+' && source_.compare(at_ + 1, 2, close) == 0;
      if (depth == 0 && (strip || keep || next_is(close))) {
        skip(strip || keep ? 3 : 2);
        add(end, "");
        return after(strip, keep, end == Token::Kind::kTagEnd);
      }
      if (c == '\'' || c == '"')
        string(c);
      else if (std::isdigit(static_cast<unsigned char>(c)))
        number();
      else if (is_name(c))
        name();
      else
        depth += op();
    }
  }

  void string(char quote) {
    std::string value;
    skip(1);
    for (;; skip(1)) {
      if (at_ >= source_.size()) wrong("a string does not end");
      char c = source_[at_];
      if (c == quote) break;
      if (c != '\\') {
        value += c;
        continue;
      }
      skip(1);
      if (at_ >= source_.size()) wrong("a string does not end");
      c = source_[at_];
      constexpr std::string_view kLetters = "ntrbfav0\\'\"",
                                 kMeant = std::string_view("\n\t\r\b\f\a\v\0\\'\"", 11);
      if (const size_t found = kLetters.find(c); found != std::string_view::npos)
        value += kMeant[found];
      else if (c == 'u' || c == 'x')
        escape(c == 'u' ? 4 : 2, value);
      else if (c != '\n')
        value += std::string{'\\', c};
    }
    skip(1);
    add(Token::Kind::kString, value);
  }

  void escape(size_t digits, std::string& value) {
    const std::string hex = source_.substr(at_ + 1, digits);
    if (hex.size() < digits ||
        !std::all_of(hex.begin(), hex.end(), [](unsigned char c) { return std::isxdigit(c) != 0; })) {
      wrong("\\{} needs {} hexadecimal digits", source_[at_], digits);
    }
    const unsigned code = static_cast<unsigned>(std::stoul(hex, nullptr, 16));
    if (code < 0x80) {
      value += static_cast<char>(code);
    } else if (code < 0x800) {
      value += static_cast<char>(0xc0 | (code >> 6));
      value += static_cast<char>(0x80 | (code & 0x3f));
    } else {
      value += static_cast<char>(0xe0 | (code >> 12));
      value += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
      value += static_cast<char>(0x80 | (code & 0x3f));
    }
    skip(digits);
  }

  void number() {
    size_t end = at_;
    bool real = false;
    const auto digits = [&] {
      while (end < source_.size() &&
             (std::isdigit(static_cast<unsigned char>(source_[end])) || source_[end] == '_'))
        ++end;
    };
    digits();
    if (end + 1 < source_.size() && source_[end] == '.' &&
        std::isdigit(static_cast<unsigned char>(source_[end + 1]))) {
      real = true;
      ++end;
      digits();
    }
    if (end + 1 < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const size_t sign = source_[end + 1] == '+' || source_[end + 1] == '-' ? 2 : 1;
      if (end + sign < source_.size() && std::isdigit(static_cast<unsigned char>(source_[end + sign]))) {
        real = true;
        end += sign;
        digits();
      }
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    skip(end - at_);
    add(real ? Token::Kind::kFloat : Token::Kind::kInteger, text);
  }

  void name() {
    size_t end = at_;
    while (end < source_.size() && is_name(source_[end])) ++end;
    const std::string text = source_.substr(at_, end - at_);
    skip(end - at_);
    add(Token::Kind::kName, text);
  }

  // Adds an operator; what it does to the depth of brackets.
  int op() {
    constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", "<=", ">=", "+", "-", "*",
                                               "/",  "%",  "~",  "<",  ">",  "=",  "(", ")", "[",
                                               "]",  "{",  "}",  ",",  ":",  ".",  "|", ";"};
    for (const std::string_view text : kOperators) {
      if (!next_is(text)) continue;
      skip(text.size());
      add(Token::Kind::kOperator, std::string(text));
      return text == "(" || text == "[" || text == "{"   ? 1
             : text == ")" || text == "]" || text == "}" ? -1
                                                         : 0;
    }
    wrong("unexpected character \"{}\"", source_[at_]);
  }

  std::string source_;
  const std::string& name_;
  size_t at_ = 0;
  int line_ = 1;
  bool after_newline_ = false;  // the text at at_ begins a line
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(const std::string& source, const std::string& name) {
  return Lexer(source, name).run();
}

}  // namespace vl3::jinja
