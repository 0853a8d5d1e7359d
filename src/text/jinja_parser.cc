#include "text/jinja_parser.h"

#include <algorithm>
#include <charconv>

#include "text/jinja_filters.h"
#include "text/jinja_lexer.h"

namespace vl3::jinja {
namespace {

using Kind = Token::Kind;

class Parser {
 public:
  Parser(const std::string& source, const std::string& name, int max_depth)
      : name_(name), max_depth_(max_depth), tokens_(tokenize(source, name)) {}

  NodePtr run() {
    NodePtr body = block({});
    return body;
  }

 private:
  // ---- tokens
  template <class... Args>
  [[noreturn]] void wrong(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) const {
    fail(code, "[{}] line {}: {}", name_, peek().line, fmt::format(format, std::forward<Args>(args)...));
  }
  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token take() {
    const Token token = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool is_op(std::string_view text) const { return peek().kind == Kind::kOperator && peek().text == text; }
  bool is_word(std::string_view text) const { return peek().kind == Kind::kName && peek().text == text; }
  bool take_op(std::string_view text) { return is_op(text) && (take(), true); }
  bool take_word(std::string_view text) { return is_word(text) && (take(), true); }
  void need_op(std::string_view text) {
    if (!take_op(text)) wrong(ErrorCode::kFormat, "expected \"{}\", not \"{}\"", text, peek().text);
  }
  std::string need_name() {
    if (peek().kind != Kind::kName) wrong(ErrorCode::kFormat, "expected a name, not \"{}\"", peek().text);
    return take().text;
  }
  void need_tag_end() {
    if (peek().kind != Kind::kTagEnd)
      wrong(ErrorCode::kFormat, "expected the end of the tag, not \"{}\"", peek().text);
    take();
  }
  NodePtr make(NodeKind kind, std::string name = "") const {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->line = peek().line;
    node->name = std::move(name);
    return node;
  }

  // Counts nesting while it lives.
  struct Deeper {
    Parser& parser;
    explicit Deeper(Parser& p) : parser(p) {
      if (++parser.depth_ > parser.max_depth_) {
        parser.wrong(ErrorCode::kLimitExceeded, "nested deeper than max_depth, {}", parser.max_depth_);
      }
    }
    ~Deeper() { --parser.depth_; }
  };

  // ---- statements
  // Up to one of the tags named, whose name is left as the next token.
  NodePtr block(const std::vector<std::string>& ends) {
    const Deeper deeper(*this);
    NodePtr body = make(NodeKind::kBlock);
    for (;;) {
      const Token& token = peek();
      if (token.kind == Kind::kEnd) {
        if (!ends.empty()) wrong(ErrorCode::kFormat, "the template ends before {}", ends[0]);
        return body;
      }
      if (token.kind == Kind::kText) {
        NodePtr text = make(NodeKind::kText);
        text->value = Value(take().text);
        body->children.push_back(std::move(text));
      } else if (token.kind == Kind::kOutputBegin) {
        take();
        NodePtr output = make(NodeKind::kOutput);
        output->children.push_back(tuple());
        if (peek().kind != Kind::kOutputEnd)
          wrong(ErrorCode::kFormat, "expected }}}}, not \"{}\"", peek().text);
        take();
        body->children.push_back(std::move(output));
      } else {
        take();
        if (std::find(ends.begin(), ends.end(), peek().text) != ends.end() && peek().kind == Kind::kName)
          return body;
        body->children.push_back(statement());
      }
    }
  }

  NodePtr statement() {
    const std::string tag = need_name();
    if (tag == "if") return if_statement();
    if (tag == "for") return for_statement();
    if (tag == "set") return set_statement();
    if (tag == "macro") return macro();
    if (tag == "call") return call_block();
    if (tag == "filter") return filter_block();
    if (tag == "break" || tag == "continue") {
      if (loops_ == 0) wrong(ErrorCode::kFormat, "{} outside of a loop", tag);
      NodePtr node = make(tag == "break" ? NodeKind::kBreak : NodeKind::kContinue);
      need_tag_end();
      return node;
    }
    if (tag == "generation") {  // marks what a model said; changes nothing about the prompt
      need_tag_end();
      NodePtr body = block({"endgeneration"});
      take();
      need_tag_end();
      return body;
    }
    wrong(ErrorCode::kUnsupported, "the tag \"{}\" is not covered", tag);
  }

  NodePtr if_statement() {
    NodePtr node = make(NodeKind::kIf);
    for (;;) {
      node->children.push_back(tuple());
      need_tag_end();
      node->children.push_back(block({"elif", "else", "endif"}));
      const std::string end = take().text;
      if (end == "elif") continue;
      need_tag_end();
      if (end == "else") {
        node->children.push_back(block({"endif"}));
        take();
        need_tag_end();
      }
      return node;
    }
  }

  std::vector<std::string> targets() {
    std::vector<std::string> names;
    const bool bracket = take_op("(");
    do {
      if (peek().kind != Kind::kName) break;
      names.push_back(take().text);
    } while (take_op(","));
    if (bracket) need_op(")");
    if (names.empty()) wrong(ErrorCode::kFormat, "expected a name to assign to, not \"{}\"", peek().text);
    return names;
  }

  NodePtr for_statement() {
    NodePtr node = make(NodeKind::kFor);
    node->names = targets();
    if (!take_word("in")) wrong(ErrorCode::kFormat, "expected \"in\", not \"{}\"", peek().text);
    node->children.push_back(tuple(false));
    node->children.push_back(take_word("if") ? expression() : nullptr);
    if (is_word("recursive")) wrong(ErrorCode::kUnsupported, "recursive loops are not covered");
    need_tag_end();
    ++loops_;
    node->children.push_back(block({"else", "endfor"}));
    --loops_;
    if (take().text == "else") {
      need_tag_end();
      node->children.push_back(block({"endfor"}));
      take();
    } else {
      node->children.push_back(nullptr);
    }
    need_tag_end();
    return node;
  }

  NodePtr set_statement() {
    NodePtr node = make(NodeKind::kSet);
    if (peek().kind == Kind::kName && peek(1).kind == Kind::kOperator && peek(1).text == ".") {
      node->name = take().text;
      take();
      node->attribute = need_name();
    } else {
      node->names = targets();
    }
    if (take_op("=")) {
      node->children.push_back(tuple());
      need_tag_end();
      return node;
    }
    if (node->names.size() != 1) wrong(ErrorCode::kFormat, "expected \"=\", not \"{}\"", peek().text);
    node->kind = NodeKind::kSetBlock;
    NodePtr filters;
    while (take_op("|")) filters = filter(std::move(filters));
    need_tag_end();
    node->children.push_back(block({"endset"}));
    node->children.push_back(std::move(filters));
    take();
    need_tag_end();
    return node;
  }

  void parameters(Node& node, std::vector<NodePtr>& defaults) {
    need_op("(");
    while (!is_op(")")) {
      node.names.push_back(need_name());
      defaults.push_back(take_op("=") ? expression() : nullptr);
      if (!take_op(",")) break;
    }
    need_op(")");
  }

  NodePtr macro() {
    NodePtr node = make(NodeKind::kMacro, need_name());
    std::vector<NodePtr> defaults;
    parameters(*node, defaults);
    need_tag_end();
    const int loops = std::exchange(loops_, 0);
    node->children.push_back(block({"endmacro"}));
    loops_ = loops;
    for (NodePtr& value : defaults) node->children.push_back(std::move(value));
    take();
    if (peek().kind == Kind::kName) take();
    need_tag_end();
    return node;
  }

  NodePtr call_block() {
    NodePtr node = make(NodeKind::kCallBlock);
    std::vector<NodePtr> defaults;
    if (is_op("(")) parameters(*node, defaults);
    node->children.push_back(postfix());
    if (node->children[0]->kind != NodeKind::kCall) wrong(ErrorCode::kFormat, "a call block needs a call");
    need_tag_end();
    node->children.push_back(block({"endcall"}));
    take();
    need_tag_end();
    return node;
  }

  NodePtr filter_block() {
    NodePtr node = make(NodeKind::kFilterBlock);
    NodePtr filters = filter(nullptr);
    while (take_op("|")) filters = filter(std::move(filters));
    need_tag_end();
    node->children.push_back(std::move(filters));
    node->children.push_back(block({"endfilter"}));
    take();
    need_tag_end();
    return node;
  }

  // ---- expressions, weakest binding first
  // One expression, or several with commas between: a tuple.
  NodePtr tuple(bool conditional = true) {
    NodePtr first = conditional ? expression() : or_expression();
    if (!is_op(",")) return first;
    NodePtr node = make(NodeKind::kTuple);
    node->children.push_back(std::move(first));
    while (take_op(",")) {
      if (peek().kind == Kind::kTagEnd || peek().kind == Kind::kOutputEnd || is_op(")") || is_op("=")) break;
      node->children.push_back(conditional ? expression() : or_expression());
    }
    return node;
  }

  NodePtr expression() {
    const Deeper deeper(*this);
    NodePtr value = or_expression();
    while (is_word("if")) {
      take();
      NodePtr node = make(NodeKind::kConditional);
      node->children.push_back(std::move(value));
      node->children.push_back(or_expression());
      node->children.push_back(take_word("else") ? expression() : nullptr);
      value = std::move(node);
    }
    return value;
  }

  NodePtr binary(NodePtr left, const std::string& op, NodePtr right) const {
    NodePtr node = make(NodeKind::kBinary, op);
    node->children.push_back(std::move(left));
    node->children.push_back(std::move(right));
    return node;
  }

  NodePtr or_expression() {
    NodePtr left = and_expression();
    while (take_word("or")) left = binary(std::move(left), "or", and_expression());
    return left;
  }
  NodePtr and_expression() {
    NodePtr left = not_expression();
    while (take_word("and")) left = binary(std::move(left), "and", not_expression());
    return left;
  }
  NodePtr not_expression() {
    if (!take_word("not")) return compare();
    const Deeper deeper(*this);
    NodePtr node = make(NodeKind::kUnary, "not");
    node->children.push_back(not_expression());
    return node;
  }
  NodePtr compare() {
    NodePtr first = sum();
    NodePtr node;
    for (;;) {
      std::string op;
      for (const std::string_view text : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (op.empty() && take_op(text)) op = text;
      }
      if (op.empty() && take_word("in")) op = "in";
      if (op.empty() && is_word("not") && peek(1).kind == Kind::kName && peek(1).text == "in") {
        take();
        take();
        op = "not in";
      }
      if (op.empty()) break;
      if (node == nullptr) {
        node = make(NodeKind::kCompare);
        node->children.push_back(std::move(first));
      }
      node->ops.push_back(op);
      node->children.push_back(sum());
    }
    return node == nullptr ? std::move(first) : std::move(node);
  }
  NodePtr left_to_right(std::initializer_list<std::string_view> ops, NodePtr (Parser::*next)()) {
    NodePtr left = (this->*next)();
    for (bool found = true; found;) {
      found = false;
      for (const std::string_view op : ops) {
        if (!take_op(op)) continue;
        left = binary(std::move(left), std::string(op), (this->*next)());
        found = true;
        break;
      }
    }
    return left;
  }
  NodePtr sum() { return left_to_right({"+", "-"}, &Parser::concatenation); }
  NodePtr concatenation() { return left_to_right({"~"}, &Parser::product); }
  NodePtr product() { return left_to_right({"*", "//", "/", "%"}, &Parser::power); }
  NodePtr power() {
    NodePtr left = unary(true);
    while (take_op("**")) left = binary(std::move(left), "**", unary(true));
    return left;
  }
  // Filters and tests take a signed operand whole: -1|abs is 1.
  NodePtr unary(bool with_filters) {
    NodePtr value;
    if (is_op("-") || is_op("+")) {
      const Deeper deeper(*this);
      value = make(NodeKind::kUnary, peek().text);
      take();
      value->children.push_back(unary(false));
    } else {
      value = postfix();
    }
    return with_filters ? filtered(std::move(value)) : std::move(value);
  }

  void arguments(Node& node) {
    while (!is_op(")")) {
      if (is_op("*") || is_op("**")) wrong(ErrorCode::kUnsupported, "unpacked arguments are not covered");
      if (peek().kind == Kind::kName && peek(1).kind == Kind::kOperator && peek(1).text == "=") {
        const std::string name = take().text;
        take();
        node.named.emplace_back(name, expression());
      } else {
        if (!node.named.empty()) wrong(ErrorCode::kFormat, "an argument without a name behind one with");
        node.children.push_back(expression());
      }
      if (!take_op(",")) break;
    }
    need_op(")");
  }

  NodePtr filter(NodePtr value) {
    NodePtr node = make(NodeKind::kFilter, need_name());
    if (!has_filter(node->name))
      wrong(ErrorCode::kUnsupported, "the filter \"{}\" is not covered", node->name);
    node->children.push_back(std::move(value));
    if (take_op("(")) arguments(*node);
    return node;
  }

  NodePtr test(NodePtr value) {
    NodePtr node = make(NodeKind::kTest);
    node->negated = take_word("not");
    node->name = need_name();
    if (!has_test(node->name)) wrong(ErrorCode::kUnsupported, "the test \"{}\" is not covered", node->name);
    node->children.push_back(std::move(value));
    const bool starts =
        peek().kind == Kind::kString || peek().kind == Kind::kInteger || peek().kind == Kind::kFloat ||
        is_op("[") || is_op("{") ||
        (peek().kind == Kind::kName && !is_word("else") && !is_word("or") && !is_word("and") &&
         !is_word("if") && !is_word("is") && !is_word("in") && !is_word("not"));
    if (take_op("("))
      arguments(*node);
    else if (starts)
      node->children.push_back(postfix());
    return node;
  }

  NodePtr filtered(NodePtr value) {
    for (;;) {
      if (take_op("|"))
        value = filter(std::move(value));
      else if (take_word("is"))
        value = test(std::move(value));
      else
        return value;
    }
  }

  NodePtr postfix() {
    NodePtr value = primary();
    for (;;) {
      if (take_op(".")) {
        NodePtr node = make(NodeKind::kAttribute);
        if (peek().kind == Kind::kInteger) {
          node->kind = NodeKind::kIndex;
          node->children.push_back(std::move(value));
          node->children.push_back(primary());
        } else {
          node->name = need_name();
          node->children.push_back(std::move(value));
        }
        value = std::move(node);
      } else if (take_op("[")) {
        value = subscript(std::move(value));
      } else if (take_op("(")) {
        NodePtr node = make(NodeKind::kCall);
        node->children.push_back(std::move(value));
        arguments(*node);
        value = std::move(node);
      } else {
        return value;
      }
    }
  }

  NodePtr subscript(NodePtr value) {
    NodePtr parts[3];
    int part = 0;
    bool slice = false;
    while (!is_op("]")) {
      if (take_op(":")) {
        slice = true;
        if (++part > 2) wrong(ErrorCode::kFormat, "a slice has three parts");
      } else if (parts[part] == nullptr) {
        parts[part] = tuple();
      } else {
        wrong(ErrorCode::kFormat, "expected \"]\", not \"{}\"", peek().text);
      }
    }
    need_op("]");
    if (!slice && parts[0] == nullptr) wrong(ErrorCode::kFormat, "expected an index");
    NodePtr node = make(slice ? NodeKind::kSlice : NodeKind::kIndex);
    node->children.push_back(std::move(value));
    for (int i = 0; i < (slice ? 3 : 1); ++i) node->children.push_back(std::move(parts[i]));
    return node;
  }

  NodePtr literal(Value value) const {
    NodePtr node = make(NodeKind::kLiteral);
    node->value = std::move(value);
    return node;
  }

  NodePtr primary() {
    const Deeper deeper(*this);
    const Token token = take();
    switch (token.kind) {
      case Kind::kString: {
        std::string text = token.text;
        while (peek().kind == Kind::kString) text += take().text;
        return literal(Value(text));
      }
      case Kind::kInteger: {
        int64_t number = 0;
        const auto got = std::from_chars(token.text.data(), token.text.data() + token.text.size(), number);
        if (got.ec != std::errc())
          wrong(ErrorCode::kLimitExceeded, "the number {} does not fit 64 bits", token.text);
        return literal(Value(number));
      }
      case Kind::kFloat:
        return literal(Value(std::stod(token.text)));
      case Kind::kName:
        if (token.text == "true" || token.text == "True") return literal(Value(true));
        if (token.text == "false" || token.text == "False") return literal(Value(false));
        if (token.text == "none" || token.text == "None") return literal(Value::none());
        return make(NodeKind::kName, token.text);
      default:
        break;
    }
    if (token.text == "(") {
      if (take_op(")")) return make(NodeKind::kTuple);
      NodePtr value = tuple();
      need_op(")");
      return value;
    }
    if (token.text == "[" || token.text == "{") {
      const bool dict = token.text == "{";
      NodePtr node = make(dict ? NodeKind::kDict : NodeKind::kList);
      const char* close = dict ? "}" : "]";
      while (!is_op(close)) {
        node->children.push_back(expression());
        if (dict) {
          need_op(":");
          node->children.push_back(expression());
        }
        if (!take_op(",")) break;
      }
      need_op(close);
      return node;
    }
    wrong(ErrorCode::kFormat, "expected an expression, not \"{}\"", token.text);
  }

  const std::string& name_;
  int max_depth_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0, loops_ = 0;
};

}  // namespace

NodePtr parse(const std::string& source, const std::string& name, int max_depth) {
  return Parser(source, name, max_depth).run();
}

}  // namespace vl3::jinja
