#pragma once
// The prefix tree under the names that a prompt's prefill calls it by.

#include "generate/prefix_tree.h"

namespace vl3 {

using Signature = CacheKey;

class PrefixCache : public PrefixTree {
 public:
  using PrefixTree::find;
  using PrefixTree::PrefixTree;
  KvCache find(std::span<const int64_t> key, CacheType type, Compute compute) {
    return find(key, {type, compute});
  }
  void add(const CacheKey& key, const KvCache& cache, Compute compute) {
    insert(key, cache, {cache.type(), compute});
  }
};

}  // namespace vl3
