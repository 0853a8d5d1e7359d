#pragma once
// Keys and values of prompts and answers that went through the model before, as a radix tree over blocks of
// tokens: the next turn of a conversation, or another question about the same picture, starts behind the
// tokens it has in common with one of them. Reference: RadixAttention, "SGLang: Efficient Execution of
// Structured Language Model Programs" (Zheng et al. 2024).

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/kv_cache.h"

namespace vl3 {

// What stands at each position of a sequence: the id of a text token, and for a visual token a negative
// number that no other content has (its content id). Sequences with equal keys have equal keys and values.
using CacheKey = std::vector<int64_t>;

// Tokens that two keys have in common at the beginning.
int64_t common_prefix(std::span<const int64_t> a, std::span<const int64_t> b);

// How they were computed: what differs in any of it is never mixed.
struct CacheKind {
  CacheType type = CacheType::kF32;
  Compute compute = Compute::kAuto;
  int64_t adapter = -1;   // of an AdapterSet; -1: none
  std::string salt = {};  // whose it is
  friend auto operator<=>(const CacheKind&, const CacheKind&) = default;
};

// A tree belongs to one model. Every node is a block of tokens under the blocks before it, held once whatever
// the number of sequences that begin so; the last block of a sequence may be a part of one. Lookups and
// inserts take time in the length of the sequence and the logarithm of the branches that leave its path.
//
// Thread-safe. The caches that come out are their callers' own.
class PrefixTree {
 public:
  // Of blocks held, KvPool::block_bytes each. What was used longest ago goes first, ends before what they
  // continue.
  explicit PrefixTree(int64_t max_bytes = INT64_MAX);
  ~PrefixTree();
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  // A cache with the longest beginning of key that is held, to the token, at most all but the last token of
  // key; without tokens where less than a block is in common. fresh: a cache of the kind and of the pool that
  // new blocks of the result come from. Blocks that are held stay in the budget of the pool they came from,
  // which may be another one (that of another scheduler of this model).
  KvCache find(std::span<const int64_t> key, const CacheKind& kind, const KvCache& fresh);
  // Keeps the tokens of cache, whose beginning key names: a prompt, or a prompt and its answer (the last
  // token of an answer has no keys and values yet). What is held already stays as it is. Where max_bytes does
  // not suffice, the beginning is kept. Throws kInvalidArgument where key is shorter than the cache.
  void insert(std::span<const int64_t> key, const KvCache& cache, const CacheKind& kind);

  // Lets go of what was used longest ago until so many blocks of the pool are free again, and says how many.
  // Blocks that a sequence still uses free nothing: they go only where what is above them has to.
  int64_t reclaim(const KvPool& pool, int64_t blocks);
  void clear();

  // The pool that askers without a budget have in common, of this one's shape and type and of this device:
  // `made`, or one that came earlier. What an answer leaves free of its memory the next one takes; with a
  // pool each, memory whose other blocks are held here would be of no use. made: without a budget and without
  // blocks.
  std::shared_ptr<KvPool> common_pool(std::shared_ptr<KvPool> made, const Device& device);

  int64_t reused_tokens() const;  // that find has given, all together
  int64_t bytes() const;          // of the blocks held; those that a sequence uses as well count in full
  int64_t blocks() const;

 private:
  struct Node;
  // By tokens in order: of all children the one with the longest beginning in common stands next to where the
  // tokens asked for would be.
  struct Less {
    using is_transparent = void;
    bool operator()(std::span<const int64_t> a, std::span<const int64_t> b) const;
  };
  using Children = std::map<CacheKey, std::unique_ptr<Node>, Less>;
  struct Match {
    Node* node = nullptr;
    int64_t tokens = 0;  // in common with its own
  };
  struct OldestFirst {
    bool operator()(const Node* a, const Node* b) const;
  };

  static Match longest_match(const Node& parent, std::span<const int64_t> tokens);
  Node* add(Node& parent, std::span<const int64_t> tokens, const KvBlockRef& block);
  void touch(Node& node);
  void remove(Node& leaf);
  void shrink(const Node& kept);
  static bool frees_above(const Node& node, const KvPool& pool);

  mutable std::mutex mutex_;
  std::map<CacheKind, std::unique_ptr<Node>> roots_;
  std::set<Node*, OldestFirst> leaves_;
  std::vector<std::pair<Device, std::shared_ptr<KvPool>>> pools_;  // of askers without a budget
  int64_t max_bytes_, bytes_ = 0, blocks_ = 0, reused_ = 0;
  uint64_t now_ = 0;  // counts finds and inserts
};

// From now on the pool asks the tree for blocks when its budget is used up, as long as the tree lives.
void reclaim_from(KvPool& pool, const std::shared_ptr<PrefixTree>& tree);

}  // namespace vl3
