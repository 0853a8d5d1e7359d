#pragma once
// A template's tokens one after the other, and the errors of what is not where it should be.

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "jinja/lexer.h"
#include "jinja/tree.h"

namespace vl3::jinja {

class TokenReader {
 protected:
  TokenReader(const std::string& source, const std::string& name, int max_depth)
      : name_(name), max_depth_(max_depth), tokens_(tokenize(source, name)) {}

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
  bool is_op(std::string_view text) const {
    return peek().kind == Token::Kind::kOperator && peek().text == text;
  }
  bool is_word(std::string_view text) const {
    return peek().kind == Token::Kind::kName && peek().text == text;
  }
  bool take_op(std::string_view text) { return is_op(text) && (take(), true); }
  bool take_word(std::string_view text) { return is_word(text) && (take(), true); }
  void need_op(std::string_view text) {
    if (!take_op(text)) wrong(ErrorCode::kFormat, "expected \"{}\", not \"{}\"", text, peek().text);
  }
  std::string need_name() {
    if (peek().kind != Token::Kind::kName)
      wrong(ErrorCode::kFormat, "expected a name, not \"{}\"", peek().text);
    return take().text;
  }
  void need_tag_end() {
    if (peek().kind != Token::Kind::kTagEnd)
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
    TokenReader& reader;
    explicit Deeper(TokenReader& r) : reader(r) {
      if (++reader.depth_ > reader.max_depth_) {
        reader.wrong(ErrorCode::kLimitExceeded, "nested deeper than max_depth, {}", reader.max_depth_);
      }
    }
    ~Deeper() { --reader.depth_; }
  };

 private:
  const std::string& name_;
  int max_depth_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace vl3::jinja
