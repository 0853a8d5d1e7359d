#include "jinja/expression_parser.h"

#include <charconv>
#include <cstdlib>

#include "jinja/builtins.h"

namespace vl3::jinja {

using Kind = Token::Kind;

// One expression, or several with commas between: a tuple.
NodePtr ExpressionParser::tuple(bool conditional) {
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

NodePtr ExpressionParser::expression() {
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

NodePtr ExpressionParser::binary(NodePtr left, const std::string& op, NodePtr right) const {
  NodePtr node = make(NodeKind::kBinary, op);
  node->children.push_back(std::move(left));
  node->children.push_back(std::move(right));
  return node;
}

NodePtr ExpressionParser::or_expression() {
  NodePtr left = and_expression();
  while (take_word("or")) left = binary(std::move(left), "or", and_expression());
  return left;
}

NodePtr ExpressionParser::and_expression() {
  NodePtr left = not_expression();
  while (take_word("and")) left = binary(std::move(left), "and", not_expression());
  return left;
}

NodePtr ExpressionParser::not_expression() {
  if (!take_word("not")) return compare();
  const Deeper deeper(*this);
  NodePtr node = make(NodeKind::kUnary, "not");
  node->children.push_back(not_expression());
  return node;
}

NodePtr ExpressionParser::compare() {
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

NodePtr ExpressionParser::left_to_right(std::initializer_list<std::string_view> ops,
                                        NodePtr (ExpressionParser::*next)()) {
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

NodePtr ExpressionParser::sum() { return left_to_right({"+", "-"}, &ExpressionParser::concatenation); }
NodePtr ExpressionParser::concatenation() { return left_to_right({"~"}, &ExpressionParser::product); }
NodePtr ExpressionParser::product() { return left_to_right({"*", "//", "/", "%"}, &ExpressionParser::power); }
NodePtr ExpressionParser::power() {
  NodePtr left = unary(true);
  while (take_op("**")) left = binary(std::move(left), "**", unary(true));
  return left;
}

// Filters and tests take a signed operand whole: -1|abs is 1.
NodePtr ExpressionParser::unary(bool with_filters) {
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

void ExpressionParser::arguments(Node& node) {
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

NodePtr ExpressionParser::filter(NodePtr value) {
  NodePtr node = make(NodeKind::kFilter, need_name());
  if (!has_filter(node->name)) wrong(ErrorCode::kUnsupported, "the filter \"{}\" is not covered", node->name);
  node->children.push_back(std::move(value));
  if (take_op("(")) arguments(*node);
  return node;
}

NodePtr ExpressionParser::test(NodePtr value) {
  NodePtr node = make(NodeKind::kTest);
  node->negated = take_word("not");
  node->name = need_name();
  if (!has_test(node->name)) wrong(ErrorCode::kUnsupported, "the test \"{}\" is not covered", node->name);
  node->children.push_back(std::move(value));
  const bool starts = peek().kind == Kind::kString || peek().kind == Kind::kInteger ||
                      peek().kind == Kind::kFloat || is_op("[") || is_op("{") ||
                      (peek().kind == Kind::kName && !is_word("else") && !is_word("or") && !is_word("and") &&
                       !is_word("if") && !is_word("is") && !is_word("in") && !is_word("not"));
  if (take_op("("))
    arguments(*node);
  else if (starts)
    node->children.push_back(postfix());
  return node;
}

NodePtr ExpressionParser::filtered(NodePtr value) {
  for (;;) {
    if (take_op("|"))
      value = filter(std::move(value));
    else if (take_word("is"))
      value = test(std::move(value));
    else
      return value;
  }
}

NodePtr ExpressionParser::postfix() {
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

NodePtr ExpressionParser::subscript(NodePtr value) {
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

NodePtr ExpressionParser::literal(Value value) const {
  NodePtr node = make(NodeKind::kLiteral);
  node->value = std::move(value);
  return node;
}

NodePtr ExpressionParser::integer(const std::string& digits) const {
  int64_t number = 0;
  const auto got = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (got.ec != std::errc()) wrong(ErrorCode::kLimitExceeded, "the number {} does not fit 64 bits", digits);
  return literal(Value(number));
}

// Digits beyond what a double holds are infinity, and below it zero, as in Python.
NodePtr ExpressionParser::real(const std::string& digits) const {
  return literal(Value(std::strtod(digits.c_str(), nullptr)));
}

NodePtr ExpressionParser::list_or_dict(bool dict) {
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

NodePtr ExpressionParser::primary() {
  const Deeper deeper(*this);
  const Token token = take();
  switch (token.kind) {
    case Kind::kString: {
      std::string text = token.text;
      while (peek().kind == Kind::kString) text += take().text;
      return literal(Value(text));
    }
    case Kind::kInteger:
      return integer(token.text);
    case Kind::kFloat:
      return real(token.text);
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
  if (token.text == "[" || token.text == "{") return list_or_dict(token.text == "{");
  wrong(ErrorCode::kFormat, "expected an expression, not \"{}\"", token.text);
}

}  // namespace vl3::jinja
