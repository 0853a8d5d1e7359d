#include "model/kv_cache.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/thread_pool.h"
#include "model/key_value_factors.h"

namespace vl3 {

size_t KvCache::bytes() const noexcept {
  size_t total = 0;
  for (const auto& block : blocks_) total += block->bytes();
  return total;
}

KvCache KvCache::fork() const {
  KvCache copy(shape_, type_, factors_);
  copy.blocks_ = blocks_;
  copy.length_ = length_;
  return copy;
}

void KvCache::truncate(int64_t length) {
  require(length >= 0 && length <= length_, ErrorCode::kInvalidArgument,
          "[kv_cache] cannot truncate a cache of {} tokens to {}", length_, length);
  length_ = length;
  blocks_.resize(static_cast<size_t>((length + kBlockTokens - 1) / kBlockTokens));
}

void KvCache::reserve(int64_t count) {
  require(count >= 0, ErrorCode::kInvalidArgument, "[kv_cache] cannot reserve {} tokens", count);
  const size_t block_bytes = static_cast<size_t>(shape_.num_layers * 2 * plane_bytes());
  // Blocks that this step writes to must not be seen by a fork.
  for (size_t i = static_cast<size_t>(length_ / kBlockTokens); count > 0 && i < blocks_.size(); ++i) {
    if (blocks_[i].use_count() == 1) continue;
    auto own = Storage::allocate(block_bytes);
    std::memcpy(own->mutable_data(), blocks_[i]->data(), block_bytes);
    blocks_[i] = std::move(own);
  }
  const size_t needed = static_cast<size_t>((length_ + count + kBlockTokens - 1) / kBlockTokens);
  while (blocks_.size() < needed) blocks_.push_back(Storage::allocate(block_bytes));
}

std::byte* KvCache::block(int64_t index, int64_t layer, bool value) const {
  return blocks_[static_cast<size_t>(index)]->mutable_data() + (layer * 2 + (value ? 1 : 0)) * plane_bytes();
}

const float* KvCache::factors(int64_t layer, bool value) const {
  if (!factors_) return nullptr;
  const LayerFactors& of_layer = (*factors_)[static_cast<size_t>(layer)];
  return (value ? of_layer.values : of_layer.keys).data<float>();
}

void KvCache::append(Context& context, int64_t layer, const Tensor& k, const Tensor& v) {
  const int64_t count = k.dim(0), heads = shape_.num_kv_heads, width = shape_.head_dim;
  require(k.rank() == 3 && k.dim(1) == heads && k.dim(2) == width && v.shape() == k.shape() && layer >= 0 &&
              layer < shape_.num_layers &&
              length_ + count <= static_cast<int64_t>(blocks_.size()) * kBlockTokens,
          ErrorCode::kInvalidArgument,
          "[kv_cache] keys {} and values {} for layer {} of {} layers x {} heads x {}", to_string(k.shape()),
          to_string(v.shape()), layer, shape_.num_layers, heads, width);
  const auto store = [&](int64_t token, bool value) {
    const float* source = (value ? v : k).data<float>() + token * heads * width;
    const float* factors = this->factors(layer, value);
    const int64_t position = length_ + token;
    std::byte* target = block(position / kBlockTokens, layer, value) + position % kBlockTokens * row_bytes();
    for (int64_t head = 0; head < heads; ++head) {
      ops::store_row(context.kernels(), type_, source + head * width, width,
                     target + head * kBlockTokens * row_bytes(),
                     factors == nullptr ? nullptr : factors + head * width);
    }
  };
  context.threads().parallel_for(count, 32, [&](int64_t begin, int64_t end, int) {
    for (int64_t token = begin; token < end; ++token) {
      store(token, false);
      store(token, true);
    }
  });
}

ops::KeyValueView KvCache::view(int64_t layer, int64_t length) const {
  require(layer >= 0 && layer < shape_.num_layers && length >= 0 &&
              length <= static_cast<int64_t>(blocks_.size()) * kBlockTokens,
          ErrorCode::kInvalidArgument, "[kv_cache] no {} tokens of layer {} of {} here", length, layer,
          shape_.num_layers);
  ops::KeyValueView view;
  view.block_tokens = kBlockTokens;
  view.type = type_;
  view.token_stride = row_bytes();
  view.head_stride = kBlockTokens * row_bytes();
  view.length = length;
  view.k_factors = factors(layer, false);
  view.v_factors = factors(layer, true);
  const int64_t count = (length + kBlockTokens - 1) / kBlockTokens;
  for (int64_t i = 0; i < count; ++i) {
    view.k_blocks.push_back(block(i, layer, false));
    view.v_blocks.push_back(block(i, layer, true));
  }
  return view;
}

void KvCache::advance(int64_t count) {
  require(count >= 0 && length_ + count <= static_cast<int64_t>(blocks_.size()) * kBlockTokens,
          ErrorCode::kInvalidArgument, "[kv_cache] {} tokens behind {} were not reserved", count, length_);
  length_ += count;
}

}  // namespace vl3
