#pragma once
// Where answers stand in a grammar, token by token, and the tokens that may follow.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/matcher.h"
#include "grammar/token_trie.h"
#include "vl3/generation.h"

namespace vl3 {

// Not thread-safe. Grammar and trie must outlive it.
class TokenStates {
 public:
  // The answers that one hook is asked about: beginnings that are remembered, so that a query costs as much
  // as what is new in it. Drafts and beams that came to nothing are forgotten by and by.
  class Answers {
   private:
    friend class TokenStates;
    struct Answer {
      int64_t prompt = 0, sequence = 0;
      std::vector<int64_t> ids;
      std::vector<int32_t> states;  // behind so many ids
      uint64_t used = 0;
    };
    std::vector<Answer> list;
    uint64_t epoch = 0, clock = 0;
  };

  TokenStates(const grammar::Grammar& grammar, const grammar::TokenTrie& trie)
      : trie_(trie), matcher_(grammar) {}

  bool accepts(std::string_view text);
  bool begins(std::string_view text);
  // Sets the bits of what may follow query.new_ids; none, where they are no beginning.
  void allow(const ConstraintQuery& query, std::span<const int64_t> end_tokens, Answers& answers,
             TokenMask mask);

 private:
  static constexpr int32_t kEnded = -3;  // behind an end token
  static constexpr size_t kMaxAnswers = 48;
  static constexpr size_t kMaxMasks = 128;
  static constexpr size_t kMaxBytes = size_t{48} << 20;
  struct Mask {
    std::vector<uint32_t> words;
    uint64_t used = 0;
  };
  int32_t state_of(const ConstraintQuery& query, std::span<const int64_t> end_tokens, Answers& answers);
  int32_t after(int32_t state, int64_t id, std::span<const int64_t> end_tokens);
  const std::vector<uint32_t>& mask_of(int32_t state);
  void make_room();

  const grammar::TokenTrie& trie_;
  grammar::Matcher matcher_;
  std::unordered_map<int32_t, Mask> masks_;  // by state
  uint64_t clock_ = 0, epoch_ = 1;           // epoch: since when numbers of states mean what they mean
};

}  // namespace vl3
