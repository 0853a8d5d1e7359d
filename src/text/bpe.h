#pragma once
// Byte-pair merging: a word's bytes joined pair by pair, the pair of lowest rank first, leftmost among
// equals.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace vl3 {

class Bpe {
 public:
  // What a call needs besides; one for many words saves allocations.
  struct Scratch {
    struct Symbol {
      int32_t id, previous, next;
      uint32_t rank;  // of the merge with the next one, kNone where there is none
    };
    std::vector<Symbol> symbols;
    std::vector<uint64_t> heap;
  };

  // merges[i], of rank i, joins tokens left and right to result. A later merge of the same pair replaces an
  // earlier one.
  struct Merge {
    int32_t left, right, result;
  };
  // What stands for a byte without a token: id, one for each or (fuse) for each run of them within a word;
  // -1: such bytes are left out, and what is beside them may merge, as in the reference.
  struct Unknown {
    int32_t id = -1;
    bool fuse = false;
  };
  // Throws kFormat naming origin where no single byte is a token.
  Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges, Unknown unknown,
      std::string_view origin);

  // Appends the ids of a word of at most 2^31 - 1 bytes. Time O(n log n).
  void encode(std::string_view word, Scratch& scratch, std::vector<int64_t>& out) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Slot {
    uint64_t pair = UINT64_MAX;
    uint32_t rank = kNone;
    int32_t result = -1;
  };
  const Slot* find(int32_t left, int32_t right) const noexcept;
  uint32_t rank_of(int32_t left, int32_t right) const noexcept;
  void merge_few(Scratch& scratch) const;
  void merge_many(Scratch& scratch) const;
  void join(std::vector<Scratch::Symbol>& symbols, size_t at) const;

  // The symbols of a word before anything is merged.
  void spell(std::string_view word, std::vector<Scratch::Symbol>& symbols) const;

  std::array<int32_t, 256> byte_ids_{};  // -1: no token
  Unknown unknown_;
  std::vector<Slot> slots_;  // a power of two of them, at most half full
  int shift_ = 63;
};

}  // namespace vl3
