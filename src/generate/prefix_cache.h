#pragma once
// Prompts that went through the model before: the next turn of a conversation, or another question about the
// same picture, starts behind the tokens it has in common with one of them.

#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <vector>

#include "model/kv_cache.h"

namespace vl3 {

// What stands at each position of a prompt: the id of a text token, and for a visual token a negative number
// that no other content has. Two prompts with equal signatures have equal keys and values.
using Signature = std::vector<int64_t>;

// Thread-safe; what was used longest ago goes first.
class PrefixCache {
 public:
  explicit PrefixCache(int64_t max_bytes) : max_bytes_(max_bytes) {}

  // A cache with the longest prefix held, at most all but the last token; without tokens where nothing
  // worthwhile (a block of KvCache) is in common. The type and arithmetic of keys and values must agree.
  KvCache find(std::span<const int64_t> signature, CacheType type, Compute compute);
  void add(const Signature& signature, const KvCache& cache, Compute compute);

  int64_t reused_tokens() const;
  int64_t bytes() const;

 private:
  struct Entry {
    Signature signature;
    KvCache cache;
    Compute compute;
  };
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the latest first
  int64_t max_bytes_, bytes_ = 0, reused_ = 0;
};

}  // namespace vl3
