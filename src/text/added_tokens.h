#pragma once
// Tokens that are recognised in text as a whole, before it is cut into words.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vl3 {

struct AddedToken {
  int64_t id = -1;
  std::string content;
  bool special = false;
  bool normalized = false;   // looked for in normalised text
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and after it
  bool single_word = false;  // not beside a character of a word
};

// Finds the leftmost token, the longest of those that begin there. Time linear in the text for each byte of
// the longest token.
class AddedTokenMatcher {
 public:
  // A run of text that is a token, or (id -1) is none.
  struct Piece {
    int32_t id;
    std::string_view text;
  };

  // pattern: what to look for, the content or its normalised form. Empty patterns are ignored.
  void add(const AddedToken& token, std::string_view pattern);
  bool empty() const noexcept { return tokens_.empty(); }

  // Appends the pieces of text (any bytes), in order, none of them empty but tokens. Without lstrip and
  // rstrip they joined are the text.
  void split(std::string_view text, std::vector<Piece>& out) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, int32_t>> children;  // ascending
    int32_t token = -1;
  };
  // The token that begins at the start of text and its length, or -1.
  std::pair<int32_t, size_t> longest(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_{1};
  bool starts_[256] = {};
};

}  // namespace vl3
