#pragma once
// Source of a template → tokens, with white space trimmed as trim_blocks, lstrip_blocks, "-" and "+" say.

#include <string>
#include <vector>

namespace vl3::jinja {

struct Token {
  enum class Kind {
    kText,
    kOutputBegin,
    kOutputEnd,
    kTagBegin,
    kTagEnd,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEnd
  };
  Kind kind;
  std::string text;
  int line;
};

// Throws kFormat naming template and line.
std::vector<Token> tokenize(const std::string& source, const std::string& name);

}  // namespace vl3::jinja
