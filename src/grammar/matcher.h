#pragma once
// A grammar run over bytes: the states of a pushdown automaton, made deterministic as they are met. Linear in
// the text, never backtracking.

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/grammar.h"

namespace vl3::grammar {

// Not thread-safe. States are numbered; what is behind a number goes with forget().
class Matcher {
 public:
  static constexpr int32_t kDead = -1;  // nothing that begins like this matches

  // grammar must outlive it.
  explicit Matcher(const Grammar& grammar);

  int32_t start() const noexcept { return 0; }
  // Throws kLimitExceeded where a state stands for too many ways of reading the text, or there are too many
  // states.
  int32_t step(int32_t state, uint8_t byte) {
    const int32_t known = next_[static_cast<size_t>(state) * classes_ + grammar_.byte_class[byte]];
    return known != kUnknown ? known : make_step(state, byte);
  }
  int32_t step(int32_t state, std::string_view bytes) {
    for (size_t i = 0; i < bytes.size() && state != kDead; ++i)
      state = step(state, static_cast<uint8_t>(bytes[i]));
    return state;
  }
  bool accepts(int32_t state) const { return states_[static_cast<size_t>(state)].accepts; }  // may end here
  // Whether anything may follow.
  bool goes_on(int32_t state) const { return states_[static_cast<size_t>(state)].num_items > 0; }
  // So many bytes bring it to an end: the fewest, where levels of nesting are not short (see ShortestEnds). 0
  // where it accepts; else there is a byte that leads to a state with fewer.
  int32_t shortest(int32_t state) const { return states_[static_cast<size_t>(state)].shortest; }
  // Plain characters that may follow in any case, whether no text of more plain characters may, and what
  // shortest() is behind them, at most.
  struct Plain {
    uint8_t count = 0;
    bool exact = false;
    int32_t shortest = 0;
  };
  Plain plain(int32_t state) const { return states_[static_cast<size_t>(state)].plain; }

  // Steps of work that making states may still cost (edges looked at); beyond it they throw kLimitExceeded.
  void allow_work(int64_t steps) noexcept { work_left_ = steps; }
  int64_t work_left() const noexcept { return work_left_; }

  size_t num_states() const noexcept { return states_.size(); }
  size_t bytes() const noexcept;  // of memory, about
  void forget();                  // all states but the start

 private:
  static constexpr int32_t kUnknown = -2;
  static constexpr size_t kMaxItems = 20'000;
  static constexpr size_t kMaxBytes = size_t{256} << 20;
  // Where a rule goes on when the one it called is done.
  struct Frame {
    int32_t node, parent, depth;
    int32_t count;  // characters so far, of a rule that counts them
    int32_t rest;   // bytes from there to the end of all
  };
  // A node, and the frame that its rule returns to.
  struct Item {
    int32_t node, frame;
  };
  struct State {
    size_t first_item = 0;
    uint32_t num_items = 0;
    bool accepts = false;
    int32_t shortest = 0;
    Plain plain;
  };
  static uint64_t key(Item item) {
    return static_cast<uint64_t>(static_cast<uint32_t>(item.node)) << 32 | static_cast<uint32_t>(item.frame);
  }
  int32_t make_step(int32_t state, uint8_t byte);
  void begin();
  void add(Item item);
  void work(int64_t steps);
  void expand(Item item);
  void call(const Edge& edge, Item item);
  int32_t frame(int32_t node, int32_t parent, int32_t depth, int32_t count);
  int32_t frame_behind_character(Item item);
  bool out_of_bounds(Item item) const;
  int32_t shortest(Item item) const;
  void measure(State& state, std::span<const Item> items) const;
  int32_t close();  // the state of what was added

  const Grammar& grammar_;
  size_t classes_;
  std::vector<Frame> frames_;
  std::unordered_multimap<uint64_t, int32_t> frames_by_key_;
  std::vector<State> states_;
  std::vector<Item> items_;
  std::vector<int32_t> next_;  // a row for each state
  std::unordered_multimap<uint64_t, int32_t> states_by_hash_;
  int64_t work_left_ = INT64_MAX;
  // Of the state being made.
  std::vector<Item> work_;
  std::unordered_map<uint64_t, bool> seen_;
};

}  // namespace vl3::grammar
