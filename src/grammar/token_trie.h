#pragma once
// A vocabulary as a trie of its tokens' bytes: which tokens may follow is one walk together with a matcher.

#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/matcher.h"
#include "vl3/tokenizer.h"

namespace vl3::grammar {

// Immutable, safe to use from many threads.
class TokenTrie {
 public:
  // Special tokens and those without bytes are no part of it, nor are those above 512 bytes.
  explicit TokenTrie(const Tokenizer& tokenizer);

  int64_t vocab_size() const noexcept { return vocab_size_; }
  // Bytes that a token of their own stands for: whatever is made of them can be written.
  const std::bitset<256>& single_bytes() const noexcept { return single_bytes_; }
  // Of an id of the trie; empty for others.
  std::string_view bytes(int64_t id) const;

  // Sets the bits of the tokens that may follow a state and leave Matcher::shortest at most so large; mask
  // has vocab_size() bits at least. Returns the largest that one of them leaves, or more; -1 where there is
  // none.
  int32_t allow(Matcher& matcher, int32_t state, std::span<uint32_t> mask,
                int64_t most = ShortestEnds::kFar) const;

 private:
  // Plain tokens are whole characters, none of which a JSON string has to escape: nearly all of a
  // vocabulary. Where a state takes any plain text they need no walk.
  static constexpr int64_t kMaxPlain = 16;
  struct Node {
    uint32_t end = 0;     // behind its subtree
    uint32_t tokens = 0;  // of its ids, the first
    uint16_t num_tokens = 0;
    uint16_t depth = 0;
    uint8_t byte = 0;
  };
  struct Tree {
    std::vector<Node> nodes;
    std::vector<int32_t> ids;
    size_t longest = 0;
  };
  static int64_t plain_length(std::string_view bytes);  // -1: not plain, or too long
  Tree grow(std::vector<int32_t> ids) const;
  static int32_t walk(const Tree& tree, Matcher& matcher, int32_t state, std::span<uint32_t> mask,
                      int64_t most);

  Tokenizer tokenizer_;
  int64_t vocab_size_ = 0;
  std::bitset<256> single_bytes_;
  Tree plain_, rest_;
  std::vector<std::vector<uint32_t>> plain_masks_;  // [n]: plain tokens of at most n characters
};

}  // namespace vl3::grammar
