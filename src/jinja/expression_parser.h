#pragma once
// Expressions of a template → tree. The methods from or_expression to primary are Jinja2's grammar from the
// weakest binding to the strongest; each takes the tokens of one such expression. Errors: those of parse.

#include <initializer_list>
#include <string>
#include <string_view>

#include "jinja/token_reader.h"

namespace vl3::jinja {

class ExpressionParser : protected TokenReader {
 protected:
  ExpressionParser(const std::string& source, const std::string& name, int max_depth)
      : TokenReader(source, name, max_depth) {}

  // One expression, or several with commas between: a tuple. conditional: "a if b else c" may be one.
  NodePtr tuple(bool conditional = true);
  NodePtr expression();
  // With attributes, indices and calls behind it.
  NodePtr postfix();
  // One filter, applied to value; null at the head of a filter block.
  NodePtr filter(NodePtr value);

 private:
  NodePtr or_expression();
  NodePtr and_expression();
  NodePtr not_expression();
  NodePtr compare();
  NodePtr sum();
  NodePtr concatenation();
  NodePtr product();
  NodePtr power();
  NodePtr unary(bool with_filters);
  NodePtr primary();

  NodePtr filtered(NodePtr value);
  NodePtr test(NodePtr value);
  NodePtr subscript(NodePtr value);
  NodePtr list_or_dict(bool dict);
  NodePtr integer(const std::string& digits) const;
  NodePtr real(const std::string& digits) const;
  NodePtr literal(Value value) const;
  void arguments(Node& node);
  NodePtr binary(NodePtr left, const std::string& op, NodePtr right) const;
  NodePtr left_to_right(std::initializer_list<std::string_view> ops, NodePtr (ExpressionParser::*next)());
};

}  // namespace vl3::jinja
