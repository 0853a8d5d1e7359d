#include "jinja/names.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/one_of.h"
#include "jinja/lexer.h"

namespace vl3::jinja {
namespace {

using Kind = Token::Kind;

constexpr std::string_view kWords[] = {"if",
                                       "elif",
                                       "else",
                                       "endif",
                                       "for",
                                       "endfor",
                                       "in",
                                       "not",
                                       "and",
                                       "or",
                                       "is",
                                       "set",
                                       "endset",
                                       "true",
                                       "false",
                                       "none",
                                       "True",
                                       "False",
                                       "None",
                                       "macro",
                                       "endmacro",
                                       "break",
                                       "loop",
                                       "call",
                                       "filter",
                                       "endcall",
                                       "endfilter",
                                       "block",
                                       "endblock",
                                       "generation",
                                       "endgeneration",
                                       "recursive",
                                       "continue",
                                       "do",
                                       "with",
                                       "endwith"};
constexpr std::string_view kKeyCalls[] = {"get", "attr", "selectattr", "rejectattr", "groupby"};
constexpr std::string_view kWholeMethods[] = {"items", "keys", "values", "copy"};

class Reader {
 public:
  Reader(std::vector<Token> tokens, const std::string& of) : tokens_(std::move(tokens)), lists_({of}) {}

  Names read() {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const Kind kind = tokens_[i].kind;
      if (kind == Kind::kTagBegin) begin_tag(i + 1);
      if (kind == Kind::kTagEnd) end_tag();
      if (kind == Kind::kString) take_string(i);
      if (kind == Kind::kName && i >= bound_until_) take_name(i);
    }
    return std::move(names_);
  }

 private:
  const Token& at(size_t i) const { return tokens_[std::min(i, tokens_.size() - 1)]; }
  bool is(size_t i, Kind kind, std::string_view text) const {
    return i < tokens_.size() && tokens_[i].kind == kind && tokens_[i].text == text;
  }
  bool is_operator(size_t i, std::string_view text) const { return is(i, Kind::kOperator, text); }

  // {% set a, b = … %} and {% for a, b in … %}: they are bound behind the tag, since it may read others of
  // the same names.
  void begin_tag(size_t first) {
    pending_.clear();
    of_items_ = of_lists_ = false;
    bound_until_ = first;
    const bool loop = is(first, Kind::kName, "for"), macro = is(first, Kind::kName, "macro");
    if (!loop && !macro && !is(first, Kind::kName, "set")) return;
    size_t i = first + 1;
    for (; i < tokens_.size() && tokens_[i].kind != Kind::kTagEnd; ++i) {
      if (!macro && (is(i, Kind::kName, "in") || is_operator(i, "="))) break;
      const bool attribute = is_operator(i - 1, ".");
      if (tokens_[i].kind == Kind::kName && !attribute) pending_.push_back(tokens_[i].text);
    }
    bound_until_ = i;
    // for m in messages[1:], set rest = messages[1:], set first = messages[0]; not those of messages[0].tools
    of_items_ = at(i + 1).kind == Kind::kName && lists_.contains(at(i + 1).text) && !names_key(i + 1);
    of_lists_ = of_items_ && !loop;
  }

  void end_tag() {
    bound_.insert(pending_.begin(), pending_.end());
    if (of_items_) items_.insert(pending_.begin(), pending_.end());
    if (of_lists_) lists_.insert(pending_.begin(), pending_.end());
    pending_.clear();
    of_items_ = of_lists_ = false;
  }

  void take_string(size_t i) {
    const bool subscript = i > 0 && is_operator(i - 1, "[") && is_operator(i + 1, "]");
    const bool call = i > 1 && is_operator(i - 1, "(") && is_one_of(at(i - 2).text, kKeyCalls);
    const bool attribute = i > 1 && is_operator(i - 1, "=") && at(i - 2).text == "attribute";
    const bool member =
        is(i + 1, Kind::kName, "in") || (is(i + 1, Kind::kName, "not") && is(i + 2, Kind::kName, "in"));
    if (subscript || call || attribute || member) names_.keys.insert(tokens_[i].text);
  }

  void take_name(size_t i) {
    const std::string& name = tokens_[i].text;
    const bool attribute = i > 0 && is_operator(i - 1, "."), call = is_operator(i + 1, "(");
    if (attribute) {
      names_.keys.insert(name);
      if (call && is_one_of(name, kWholeMethods) && items_.contains(at(i - 2).text)) names_.any_key = true;
      return;
    }
    const bool of_filter_or_test =
        i > 0 && (is_operator(i - 1, "|") || is(i - 1, Kind::kName, "is") ||
                  (i > 1 && is(i - 1, Kind::kName, "not") && is(i - 2, Kind::kName, "is")));
    const bool argument = is_operator(i + 1, "=");  // of a call, by its name
    if (of_filter_or_test || argument || is_one_of(name, kWords)) return;
    if (items_.contains(name) && is_whole_item(i)) names_.any_key = true;
    if (lists_.contains(name) && is_whole_list(i)) names_.any_key = true;
    if (!call && !bound_.contains(name)) names_.variables.insert(name);
  }

  // An item used otherwise than by a key that is named, and than to ask for one.
  bool is_whole_item(size_t i) const {
    const bool named =
        is_operator(i + 1, ".") || (is_operator(i + 1, "[") && at(i + 2).kind == Kind::kString);
    const bool asked = is(i + 1, Kind::kName, "is") || (i > 0 && is(i - 1, Kind::kName, "in"));
    return !named && !asked;
  }

  // The first token behind a name and its subscripts.
  size_t behind(size_t i) const {
    size_t end = i + 1;
    for (int depth = 0; end < tokens_.size() && (depth > 0 || is_operator(end, "[")); ++end)
      depth += is_operator(end, "[") ? 1 : is_operator(end, "]") ? -1 : 0;
    return end;
  }

  // messages[0]['role'], messages[0].role
  bool names_key(size_t i) const {
    const size_t end = behind(i);
    return is_operator(end, ".") || (end > i + 1 && at(end - 2).kind == Kind::kString);
  }

  // The list, or an item of it, that is shown, written as JSON or given to a macro.
  bool is_whole_list(size_t i) const {
    if (names_key(i)) return false;
    const size_t end = behind(i);
    const bool shown = at(end).kind == Kind::kOutputEnd,
               json = is_operator(end, "|") && at(end + 1).text == "tojson";
    const bool given = i > 0 && (is_operator(i - 1, "(") || is_operator(i - 1, ",")) &&
                       (is_operator(end, ")") || is_operator(end, ","));
    return shown || json || given;
  }

  std::vector<Token> tokens_;
  Names names_;
  std::set<std::string> bound_;  // names of the template's own
  std::set<std::string> lists_,
      items_;  // those that may stand for the list that was asked for, or an item of it
  std::vector<std::string> pending_;
  bool of_lists_ = false, of_items_ = false;  // what pending names will stand for
  size_t bound_until_ = 0;                    // names up to here are bound, not read
};

}  // namespace

Names names_in(const std::string& source, const std::string& name, const std::string& of) {
  return Reader(tokenize(source, name), of).read();
}

}  // namespace vl3::jinja
