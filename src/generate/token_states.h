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
  // Steps of making states for the answers of one hook, and for one question: tens of nanoseconds each, on
  // the thread that all answers wait for. Forms that people write take some hundred thousand in all.
  static constexpr int64_t kMaxWork = 40'000'000, kMaxWorkAtOnce = 4'000'000;

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
    int64_t work_left = kMaxWork;
  };

  TokenStates(const grammar::Grammar& grammar, const grammar::TokenTrie& trie)
      : trie_(trie), matcher_(grammar) {}

  bool accepts(std::string_view text);
  bool begins(std::string_view text);
  // Sets the bits of what may follow query.new_ids; none, where they are no beginning. Every byte of a
  // grammar has a token, so an answer comes to its end with as many tokens as the bytes it lacks, and one to
  // end with: what leaves fewer of query.left is not allowed. Where there are fewer already, the answer has
  // to be complete without its end token; where even that cannot be, anything that has the form may follow.
  void allow(const ConstraintQuery& query, std::span<const int64_t> end_tokens, Answers& answers,
             TokenMask mask);

 private:
  static constexpr int32_t kEnded = -3;  // behind an end token
  static constexpr size_t kMaxAnswers = 48;
  static constexpr size_t kMaxMasks = 128;
  static constexpr size_t kMaxBytes = size_t{48} << 20;
  struct Mask {
    std::vector<uint32_t> words;
    int32_t most_after = 0;  // of Matcher::shortest behind its tokens, at most
    uint64_t used = 0;
  };
  void find(const ConstraintQuery& query, std::span<const int64_t> end_tokens, Answers& answers,
            TokenMask mask);
  int32_t state_of(const ConstraintQuery& query, std::span<const int64_t> end_tokens, Answers& answers);
  int32_t after(int32_t state, int64_t id, std::span<const int64_t> end_tokens);
  const Mask& mask_of(int32_t state);
  void allow_text(int32_t state, int64_t left, TokenMask mask);
  void make_room();

  const grammar::TokenTrie& trie_;
  grammar::Matcher matcher_;
  std::unordered_map<int32_t, Mask> masks_;  // by state
  uint64_t clock_ = 0, epoch_ = 1;           // epoch: since when numbers of states mean what they mean
};

}  // namespace vl3
