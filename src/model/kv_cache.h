#pragma once
// The keys and values that one sequence has already produced: a table of blocks of a pool, and a length. A
// block is shared by every cache that holds the same prefix, so a fork (a beam, another answer to the same
// prompt, a cached prefix) costs a pointer a block.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/kv_pool.h"
#include "ops/attention.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

struct LayerFactors;

// One thread at a time. Caches that share blocks may belong to different threads: a block that somebody else
// holds as well is copied before it is written.
class KvCache {
 public:
  static constexpr int64_t kBlockTokens = KvPool::kBlockTokens;
  using Factors = std::shared_ptr<const std::vector<LayerFactors>>;

  KvCache() = default;  // no layers; holds nothing
  // factors: of every layer, for kInt8 (key_value_factors.h); null: ones.
  explicit KvCache(std::shared_ptr<KvPool> pool, Factors factors = nullptr)
      : pool_(std::move(pool)), factors_(std::move(factors)) {}
  // With a pool of its own that has no budget.
  explicit KvCache(KvShape shape, CacheType type = CacheType::kF32, Factors factors = nullptr)
      : KvCache(KvPool::create(shape, type, {.slab_bytes = 0}), std::move(factors)) {}
  KvCache(KvCache&& other) noexcept { *this = std::move(other); }
  KvCache& operator=(KvCache&& other) noexcept;  // other holds nothing afterwards

  int64_t length() const noexcept { return length_; }  // tokens held
  KvShape shape() const noexcept { return pool_ ? pool_->shape() : KvShape{}; }
  CacheType type() const noexcept { return pool_ ? pool_->type() : CacheType::kF32; }
  const std::shared_ptr<KvPool>& pool() const noexcept { return pool_; }  // null: holds nothing
  size_t bytes() const noexcept;  // of the blocks, shared ones counted in full

  KvCache fork() const;  // the same tokens; blocks are shared until one side writes to them
  // A cache like this one that holds the tokens of blocks, which are shared: length of them, the last block
  // perhaps in part.
  KvCache with_blocks(std::vector<KvBlockRef> blocks, int64_t length) const;
  std::span<const KvBlockRef> blocks() const noexcept { return blocks_; }
  // Forgets what comes after, and what was reserved; throws kInvalidArgument when length is beyond length().
  void truncate(int64_t length);

  // A step of count new tokens: reserve, then append every layer's keys and values, then advance. Until
  // advance, length() is still the old one and view() with the new length already sees what was appended.
  //
  // How many new blocks reserve would take: those that are not there yet, and those that a fork holds too.
  int64_t blocks_needed(int64_t count) const;
  // All blocks of the step, or none: where it throws (KvPoolFull, kOutOfMemory) nothing has changed.
  void reserve(int64_t count);
  // k, v: [count, Hkv, D] f32, rotated; written behind the length() tokens held.
  void append(Context& context, int64_t layer, const Tensor& k, const Tensor& v);
  // What is held of a layer, up to length; valid until this cache is changed by reserve or truncate, or ends.
  ops::KeyValueView view(int64_t layer, int64_t length) const;
  void advance(int64_t count);

 private:
  friend void reserve(std::span<KvCache* const> caches, std::span<const int64_t> counts);
  int64_t capacity() const noexcept { return static_cast<int64_t>(blocks_.size()) * kBlockTokens; }
  void prepare(int64_t new_blocks);
  void take(std::vector<KvBlockRef> fresh, int64_t count);
  const float* factors(int64_t layer, bool value) const;  // [Hkv, D], or null

  std::shared_ptr<KvPool> pool_;
  Factors factors_;
  std::vector<KvBlockRef> blocks_;
  std::vector<std::byte*> table_;  // where each block begins
  int64_t length_ = 0;
};

// A step of several caches, each there once, counts[i] new tokens for caches[i]: all blocks of all of them,
// or none. Throws as KvCache::reserve does.
void reserve(std::span<KvCache* const> caches, std::span<const int64_t> counts);

}  // namespace vl3
