#include "generate/prefix_cache.h"

#include <algorithm>

namespace vl3 {
namespace {

int64_t common(std::span<const int64_t> a, std::span<const int64_t> b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

}  // namespace

KvCache PrefixCache::find(std::span<const int64_t> signature, CacheType type, Compute compute) {
  const std::lock_guard lock(mutex_);
  int64_t longest = KvCache::kBlockTokens - 1;
  auto best = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->cache.type() != type || entry->compute != compute) continue;
    const int64_t length = common(signature.first(signature.size() - 1), entry->signature);
    if (length > longest) {
      longest = length;
      best = entry;
    }
  }
  if (best == entries_.end()) return {};
  entries_.splice(entries_.begin(), entries_, best);
  reused_ += longest;
  KvCache cache = best->cache.fork();
  cache.truncate(longest);
  return cache;
}

void PrefixCache::add(const Signature& signature, const KvCache& cache, Compute compute) {
  const std::lock_guard lock(mutex_);
  const int64_t size = static_cast<int64_t>(cache.bytes());
  if (size > max_bytes_) return;
  entries_.remove_if([&](const Entry& entry) {  // what the new one makes needless
    const bool covered = entry.compute == compute && entry.cache.type() == cache.type() &&
                         common(entry.signature, signature) == static_cast<int64_t>(entry.signature.size());
    if (covered) bytes_ -= static_cast<int64_t>(entry.cache.bytes());
    return covered;
  });
  entries_.push_front({signature, cache.fork(), compute});
  bytes_ += size;
  while (bytes_ > max_bytes_) {
    bytes_ -= static_cast<int64_t>(entries_.back().cache.bytes());
    entries_.pop_back();
  }
}

int64_t PrefixCache::reused_tokens() const {
  const std::lock_guard lock(mutex_);
  return reused_;
}

int64_t PrefixCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace vl3
