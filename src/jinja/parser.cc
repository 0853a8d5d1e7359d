#include "jinja/parser.h"

#include "jinja/expression_parser.h"

namespace vl3::jinja {
namespace {

using Kind = Token::Kind;

class Parser : private ExpressionParser {
 public:
  Parser(const std::string& source, const std::string& name, int max_depth)
      : ExpressionParser(source, name, max_depth) {}

  NodePtr run() { return block({}); }

 private:
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

  int loops_ = 0;  // that the next statement is in
};

}  // namespace

NodePtr parse(const std::string& source, const std::string& name, int max_depth) {
  return Parser(source, name, max_depth).run();
}

}  // namespace vl3::jinja
