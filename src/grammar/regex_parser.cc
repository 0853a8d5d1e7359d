#include <optional>

#include "grammar/regex.h"
#include "text/unicode.h"

namespace vl3::grammar {
namespace {

constexpr int64_t kMaxCount = 100'000;
constexpr int kMaxNesting = 200;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  Parser(std::string_view text, std::string_view origin) : text_(text), origin_(origin) {}

  std::vector<RegexNode> parse() {
    require(is_utf8(text_), ErrorCode::kInvalidArgument, "[{}] the regular expression is not UTF-8", origin_);
    std::vector<RegexNode> all;
    do {
      all.push_back(sequence(0));
    } while (take('|'));
    if (!done()) wrong("a ) that nothing opens");
    return all;
  }

 private:
  bool done() const { return at_ == text_.size(); }
  bool sees(std::string_view next) const { return text_.substr(at_).starts_with(next); }
  bool take(char c) {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  [[noreturn]] void wrong(std::string_view what) const {
    fail(ErrorCode::kInvalidArgument, "[{}] the regular expression has {} at byte {}", origin_, what, at_);
  }
  [[noreturn]] void unsupported(std::string_view what) const {
    fail(ErrorCode::kUnsupported, "[{}] the regular expression has {} at byte {}, which is not supported",
         origin_, what, at_);
  }
  uint32_t character() {
    const Character c = character_at(text_.data() + at_);
    at_ += c.size;
    return c.code;
  }

  RegexNode sequence(int depth) {
    RegexNode node;
    if (depth == 0) node.from_start = take('^');
    while (!done() && text_[at_] != '|' && text_[at_] != ')') {
      if (text_[at_] == '$') {
        ++at_;
        if (depth > 0 || !(done() || text_[at_] == '|')) unsupported("a $ that is not at its end");
        node.to_end = true;
        break;
      }
      RegexNode part = atom(depth);
      node.parts.push_back(quantified(std::move(part)));
    }
    return node;
  }

  RegexNode atom(int depth) {
    RegexNode node;
    node.kind = RegexNode::Kind::kSet;
    switch (text_[at_]) {
      case '(':
        return group(depth);
      case '[':
        node.set = bracket();
        return node;
      case '.':
        ++at_;
        // No line terminator of any dialect.
        node.set = CharSet::all().without({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
        return node;
      case '\\':
        node.set = escape(false);
        return node;
      case '^':
        unsupported("a ^ that is not at its beginning");
      case '*':
      case '+':
      case '?':
        wrong("a repetition of nothing");
      default:
        if (range_ahead()) wrong("a repetition of nothing");
        node.set = CharSet::of(character());
        return node;
    }
  }

  RegexNode group(int depth) {
    if (depth >= kMaxNesting) {
      fail(ErrorCode::kLimitExceeded, "[{}] the regular expression is nested deeper than {} groups", origin_,
           kMaxNesting);
    }
    const size_t opened = at_++;
    if (sees("?=") || sees("?!")) unsupported("a lookahead");
    if (sees("?<=") || sees("?<!")) unsupported("a lookbehind");
    if (sees("?P=")) unsupported("a backreference");
    if (sees("?:")) {
      at_ += 2;
    } else if (sees("?<") || sees("?P<")) {
      const size_t end = text_.find('>', at_);
      if (end == std::string_view::npos) wrong("a name of a group without its end");
      at_ = end + 1;
    } else if (sees("?")) {
      unsupported("a flag, a comment or another group that begins with (?");
    }
    RegexNode node;
    node.kind = RegexNode::Kind::kChoice;
    do {
      node.parts.push_back(sequence(depth + 1));
    } while (take('|'));
    if (!take(')')) {
      at_ = opened;
      wrong("a ( that nothing closes");
    }
    return node;
  }

  std::optional<int64_t> number(size_t& at) const {
    if (at >= text_.size() || !is_digit(text_[at])) return std::nullopt;
    int64_t value = 0;
    for (; at < text_.size() && is_digit(text_[at]); ++at) {
      value = std::min<int64_t>(value * 10 + (text_[at] - '0'), kMaxCount + 1);
    }
    return value;
  }

  struct Range {
    int64_t min = 0, max = 0;
    size_t end = 0;
  };
  // {m}, {m,}, {m,n} or {,n} here; other braces stand for themselves.
  std::optional<Range> range_ahead() const {
    if (done() || text_[at_] != '{') return std::nullopt;
    Range range;
    size_t at = at_ + 1;
    const std::optional<int64_t> min = number(at);
    if (at >= text_.size()) return std::nullopt;
    range.min = min.value_or(0);
    range.max = range.min;
    if (text_[at] == ',') {
      ++at;
      const std::optional<int64_t> max = number(at);
      if (!min && !max) return std::nullopt;
      range.max = max.value_or(-1);
    } else if (!min) {
      return std::nullopt;
    }
    if (at >= text_.size() || text_[at] != '}') return std::nullopt;
    range.end = at + 1;
    return range;
  }

  RegexNode quantified(RegexNode part) {
    Range range;
    if (take('*')) {
      range = {0, -1, at_};
    } else if (take('+')) {
      range = {1, -1, at_};
    } else if (take('?')) {
      range = {0, 1, at_};
    } else if (const auto ahead = range_ahead()) {
      range = *ahead;
    } else {
      return part;
    }
    if (range.max >= 0 && range.max < range.min) wrong("a repetition whose most are fewer than its least");
    require(std::max(range.min, range.max) <= kMaxCount, ErrorCode::kLimitExceeded,
            "[{}] the regular expression repeats more than {} times at byte {}", origin_, kMaxCount, at_);
    at_ = range.end;
    take('?');  // lazy: the same texts
    if (sees("+")) unsupported("a possessive repetition");
    if (sees("*") || sees("?") || range_ahead()) wrong("a repetition of a repetition");
    RegexNode node;
    node.kind = RegexNode::Kind::kRepeat;
    node.min = range.min;
    node.max = range.max;
    node.parts.push_back(std::move(part));
    return node;
  }

  uint32_t hexadecimal(size_t digits) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const char c = done() ? '\0' : text_[at_];
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) wrong("an escape without its hexadecimal digits");
      value = value << 4 | static_cast<uint32_t>(digit);
    }
    return value;
  }

  // Behind \u: four digits, or any number of them in braces; a pair of surrogates is one character.
  uint32_t code_point() {
    uint32_t value = 0;
    if (take('{')) {
      const size_t end = text_.find('}', at_);
      if (end == std::string_view::npos || end == at_ || end - at_ > 6) wrong("a wrong \\u{…}");
      value = hexadecimal(end - at_);
      ++at_;
    } else {
      value = hexadecimal(4);
      if (value >= 0xD800 && value < 0xDC00 && sees("\\u")) {
        at_ += 2;
        const uint32_t low = hexadecimal(4);
        if (low < 0xDC00 || low > 0xDFFF) wrong("half a pair of surrogates");
        return 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) wrong("a \\u that is no character");
    return value;
  }

  CharSet property(bool negated) {
    const size_t end = text_.find('}', at_);
    const std::string_view name = text_.substr(at_, end == std::string_view::npos ? end : end + 1 - at_);
    const bool letters = name == "{L}";
    if (!letters && name != "{N}") unsupported("a \\p other than \\p{L} and \\p{N}");
    at_ = end + 1;
    std::vector<CharRange> ranges;
    for (const CharRange& range : wide_class_of('w').ranges()) {
      for (uint32_t c = range.first; c <= range.last; ++c) {
        if ((character_table()[c] & (letters ? kLetter : kNumber)) != 0) ranges.push_back({c, c});
      }
    }
    const CharSet set{std::move(ranges)};
    return negated ? CharSet::all().without(set) : set;
  }

  // negated: in a class that is, where \d leaves out more (wide_class_of).
  CharSet escape(bool negated, bool in_class = false) {
    ++at_;
    if (done()) wrong("a \\ at its end");
    const char c = text_[at_];
    if (c >= '1' && c <= '9') unsupported("a backreference (or an octal escape)");
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && c != '0') return CharSet::of(character());
    ++at_;
    switch (c) {
      case 'd':
      case 'w':
      case 's':
        return negated ? wide_class_of(c).with(class_of(c)) : class_of(c);
      case 'D':
      case 'W':
      case 'S': {
        const char small = static_cast<char>(c - 'A' + 'a');
        return CharSet::all().without(negated ? class_of(small) : wide_class_of(small));
      }
      case 't':
        return CharSet::of('\t');
      case 'n':
        return CharSet::of('\n');
      case 'r':
        return CharSet::of('\r');
      case 'f':
        return CharSet::of('\f');
      case 'v':
        return CharSet::of('\v');
      case '0':
        if (!done() && is_digit(text_[at_])) unsupported("an octal escape");
        return CharSet::of(0);
      case 'x':
        return CharSet::of(hexadecimal(2));
      case 'u':
        return CharSet::of(code_point());
      case 'p':
      case 'P':
        return property(c == 'P');
      case 'b':
        if (in_class) return CharSet::of('\b');
        unsupported("a word boundary");
      case 'B':
        unsupported("a word boundary");
      case 'k':
        unsupported("a backreference");
      default:
        at_ -= 2;
        unsupported("an escape of another letter");
    }
  }

  CharSet bracket() {
    const size_t opened = at_++;
    const bool negated = take('^');
    std::vector<CharRange> ranges;
    if (sees("]")) wrong("an empty class (write \\] for the bracket)");
    while (!take(']')) {
      if (done()) {
        at_ = opened;
        wrong("a [ that nothing closes");
      }
      if (sees("[:") || sees("[=") || sees("[.")) unsupported("a POSIX class");
      const auto one = [&] { return text_[at_] == '\\' ? escape(negated, true) : CharSet::of(character()); };
      const CharSet first = one();
      const bool single = first.ranges().size() == 1 && first.ranges()[0].first == first.ranges()[0].last;
      const bool spans = sees("-") && !sees("-]");
      if (spans) {
        ++at_;
        if (done()) continue;
        const CharSet last = one();
        const bool fits = single && last.ranges().size() == 1 &&
                          last.ranges()[0].first == last.ranges()[0].last &&
                          first.ranges()[0].first <= last.ranges()[0].first;
        if (!fits) wrong("a range of a class whose ends are no characters in order");
        ranges.push_back({first.ranges()[0].first, last.ranges()[0].last});
        continue;
      }
      ranges.insert(ranges.end(), first.ranges().begin(), first.ranges().end());
    }
    const CharSet all = CharSet::all();
    const CharSet set = all.shared(CharSet(std::move(ranges)));
    const CharSet wanted = negated ? all.without(set) : set;
    if (wanted.empty()) wrong("a class without any character");
    return wanted;
  }

  std::string_view text_, origin_;
  size_t at_ = 0;
};

}  // namespace

std::vector<RegexNode> parse_regex(std::string_view text, std::string_view origin) {
  return Parser(text, origin).parse();
}

}  // namespace vl3::grammar
