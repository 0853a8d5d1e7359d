#include "model/kv_cache.h"

#include <algorithm>

#include "base/check.h"
#include "model/key_value_factors.h"
#include "ops/cache_append.h"

namespace vl3 {

KvCache& KvCache::operator=(KvCache&& other) noexcept {
  if (this == &other) return *this;
  pool_ = std::move(other.pool_);
  factors_ = std::move(other.factors_);
  blocks_ = std::exchange(other.blocks_, {});
  table_ = std::exchange(other.table_, {});
  length_ = std::exchange(other.length_, 0);
  return *this;
}

size_t KvCache::bytes() const noexcept {
  size_t total = 0;
  for (const KvBlockRef& block : blocks_) total += static_cast<size_t>(block.bytes());
  return total;
}

KvCache KvCache::fork() const { return with_blocks(blocks_, length_); }

KvCache KvCache::with_blocks(std::vector<KvBlockRef> blocks, int64_t length) const {
  KvCache copy(pool_, factors_);
  copy.blocks_ = std::move(blocks);
  require(length >= 0 && length <= copy.capacity(), ErrorCode::kInvalidArgument,
          "[kv_cache] {} tokens of {} blocks", length, copy.blocks_.size());
  for (const KvBlockRef& block : copy.blocks_) copy.table_.push_back(block.data());
  copy.length_ = length;
  return copy;
}

void KvCache::truncate(int64_t length) {
  require(length >= 0 && length <= length_, ErrorCode::kInvalidArgument,
          "[kv_cache] cannot truncate a cache of {} tokens to {}", length_, length);
  length_ = length;
  blocks_.resize(static_cast<size_t>(KvPool::blocks_for(length)));
  table_.resize(blocks_.size());
}

int64_t KvCache::blocks_needed(int64_t count) const {
  require(count >= 0, ErrorCode::kInvalidArgument, "[kv_cache] cannot reserve {} tokens", count);
  if (count == 0) return 0;
  const auto held = static_cast<int64_t>(blocks_.size());
  int64_t needed = std::max<int64_t>(0, KvPool::blocks_for(length_ + count) - held);
  for (int64_t i = length_ / kBlockTokens; i < held; ++i)
    needed += blocks_[static_cast<size_t>(i)].shared() ? 1 : 0;
  return needed;
}

// Room in the tables, so that take cannot fail on the host. Where a device fails to copy, what is held stays
// as it was.
void KvCache::prepare(int64_t new_blocks) {
  const size_t size = blocks_.size() + static_cast<size_t>(new_blocks);
  if (blocks_.capacity() < size) blocks_.reserve(std::max(size, 2 * blocks_.capacity()));
  if (table_.capacity() < size) table_.reserve(std::max(size, 2 * table_.capacity()));
}

// fresh: at least blocks_needed(count); what the step turns out not to need goes back.
void KvCache::take(std::vector<KvBlockRef> fresh, int64_t count) {
  if (count == 0) return;
  // Blocks that this step writes to must not be seen by a fork.
  for (size_t i = static_cast<size_t>(length_ / kBlockTokens); i < blocks_.size(); ++i) {
    if (!blocks_[i].shared()) continue;
    KvBlockRef own = std::move(fresh.back());
    fresh.pop_back();
    pool_->copy(blocks_[i], own);
    table_[i] = own.data();
    blocks_[i] = std::move(own);
  }
  const size_t wanted = static_cast<size_t>(KvPool::blocks_for(length_ + count));
  while (blocks_.size() < wanted) {
    table_.push_back(fresh.back().data());
    blocks_.push_back(std::move(fresh.back()));
    fresh.pop_back();
  }
}

void KvCache::reserve(int64_t count) {
  KvCache* const self = this;
  vl3::reserve(std::span(&self, 1), std::span(&count, 1));
}

void reserve(std::span<KvCache* const> caches, std::span<const int64_t> counts) {
  require(caches.size() == counts.size(), ErrorCode::kInvalidArgument, "[kv_cache] {} caches, {} counts",
          caches.size(), counts.size());
  std::vector<int64_t> needed;
  bool any = false;
  for (size_t i = 0; i < caches.size(); ++i) {
    needed.push_back(caches[i]->blocks_needed(counts[i]));
    require(needed[i] == 0 || caches[i]->pool_ != nullptr, ErrorCode::kInvalidArgument,
            "[kv_cache] {} tokens for a cache without layers", counts[i]);
    any = any || needed[i] > 0;
  }
  if (!any) return;  // most steps of decoding
  // Caches of one pool ask together, so that the pool's reclaimer sees all that is missing.
  std::vector<std::vector<KvBlockRef>> fresh(caches.size());
  for (size_t i = 0; i < caches.size(); ++i) {
    if (needed[i] == 0 || !fresh[i].empty()) continue;
    int64_t together = 0;
    const auto same = [&](size_t j) { return caches[j]->pool_ == caches[i]->pool_; };
    for (size_t j = i; j < caches.size(); ++j) together += same(j) ? needed[j] : 0;
    std::vector<KvBlockRef> blocks = caches[i]->pool_->allocate(together);
    for (size_t j = i; j < caches.size(); ++j) {
      if (!same(j)) continue;
      fresh[j].assign(std::make_move_iterator(blocks.end() - needed[j]),
                      std::make_move_iterator(blocks.end()));
      blocks.resize(blocks.size() - static_cast<size_t>(needed[j]));
    }
  }
  for (size_t i = 0; i < caches.size(); ++i) caches[i]->prepare(needed[i]);
  for (size_t i = 0; i < caches.size(); ++i) caches[i]->take(std::move(fresh[i]), counts[i]);
}

const float* KvCache::factors(int64_t layer, bool value) const {
  if (!factors_) return nullptr;
  const LayerFactors& of_layer = (*factors_)[static_cast<size_t>(layer)];
  return (value ? of_layer.values : of_layer.keys).data<float>();
}

void KvCache::append(Context& context, int64_t layer, const Tensor& k, const Tensor& v) {
  const KvShape shape = this->shape();
  require(k.rank() == 3 && k.dim(1) == shape.num_kv_heads && k.dim(2) == shape.head_dim &&
              v.shape() == k.shape() && layer >= 0 && layer < shape.num_layers &&
              length_ + k.dim(0) <= capacity(),
          ErrorCode::kInvalidArgument,
          "[kv_cache] keys {} and values {} for layer {} of {} layers x {} heads x {}, {} of {} tokens held",
          to_string(k.shape()), to_string(v.shape()), layer, shape.num_layers, shape.num_kv_heads,
          shape.head_dim, length_, capacity());
  const ops::AttentionSequence rows{0, k.dim(0), view(layer, length_ + k.dim(0))};
  ops::cache_append(context, k, v, std::span(&rows, 1));
}

ops::KeyValueView KvCache::view(int64_t layer, int64_t length) const {
  require(layer >= 0 && layer < shape().num_layers && length >= 0 && length <= capacity(),
          ErrorCode::kInvalidArgument, "[kv_cache] no {} tokens of layer {} of {} here", length, layer,
          shape().num_layers);
  ops::KeyValueView view;
  view.blocks = table_;
  view.k_offset = layer * 2 * pool_->plane_bytes();
  view.v_offset = view.k_offset + pool_->plane_bytes();
  view.block_tokens = kBlockTokens;
  view.type = pool_->type();
  view.token_stride = pool_->row_bytes();
  view.head_stride = kBlockTokens * pool_->row_bytes();
  view.length = length;
  view.k_factors = factors(layer, false);
  view.v_factors = factors(layer, true);
  return view;
}

void KvCache::advance(int64_t count) {
  require(count >= 0 && length_ + count <= capacity(), ErrorCode::kInvalidArgument,
          "[kv_cache] {} tokens behind {} were not reserved", count, length_);
  length_ += count;
}

}  // namespace vl3
