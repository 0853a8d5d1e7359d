#pragma once
// The keys and values that one sequence has already produced, in blocks of tokens. A block is shared by every
// cache that holds the same prefix, so a fork (a beam, another answer to the same prompt, a cached prefix)
// costs a pointer a block.

#include <cstdint>
#include <memory>
#include <vector>

#include "ops/attention.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

struct KvShape {
  int64_t num_layers = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
};

struct LayerFactors;

// Not thread-safe; caches that share blocks belong to one thread at a time.
class KvCache {
 public:
  static constexpr int64_t kBlockTokens = 64;

  KvCache() = default;  // no layers; holds nothing
  // factors: of every layer, for kInt8 (key_value_factors.h); null: ones.
  explicit KvCache(KvShape shape, CacheType type = CacheType::kF32,
                   std::shared_ptr<const std::vector<LayerFactors>> factors = nullptr)
      : shape_(shape), type_(type), factors_(std::move(factors)) {}
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

  int64_t length() const noexcept { return length_; }  // tokens held
  const KvShape& shape() const noexcept { return shape_; }
  CacheType type() const noexcept { return type_; }
  size_t bytes() const noexcept;  // of the blocks, shared ones counted in full

  KvCache fork() const;  // the same tokens; blocks are shared until one side writes to them
  void truncate(
      int64_t length);  // forgets what comes after; throws kInvalidArgument when length is beyond length()

  // A step of count new tokens: reserve, then append every layer's keys and values, then advance.
  // Until advance, length() is still the old one and view() with the new length already sees what was
  // appended.
  void reserve(int64_t count);
  // k, v: [count, Hkv, D] f32, rotated; written behind the length() tokens held.
  void append(Context& context, int64_t layer, const Tensor& k, const Tensor& v);
  ops::KeyValueView view(int64_t layer, int64_t length) const;
  void advance(int64_t count);

 private:
  // One block holds [layer][k, v][Hkv][kBlockTokens] rows of ops::cache_row_bytes.
  int64_t row_bytes() const noexcept { return ops::cache_row_bytes(type_, shape_.head_dim); }
  int64_t plane_bytes() const noexcept { return shape_.num_kv_heads * kBlockTokens * row_bytes(); }
  const float* factors(int64_t layer, bool value) const;  // [Hkv, D], or null
  std::byte* block(int64_t index, int64_t layer, bool value) const;

  KvShape shape_;
  CacheType type_ = CacheType::kF32;
  std::shared_ptr<const std::vector<LayerFactors>> factors_;
  std::vector<std::shared_ptr<Storage>> blocks_;
  int64_t length_ = 0;
};

}  // namespace vl3
