#include "model/kv_pool.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "ops/cache_row.h"
#include "vl3/tensor.h"

namespace vl3 {

struct KvPool::Slab {
  std::shared_ptr<Storage> memory;
  std::unique_ptr<Block[]> blocks;
  int64_t count = 0, used = 0;
};

int64_t KvBlockRef::bytes() const noexcept { return block_->pool->block_bytes(); }

void KvBlockRef::release() noexcept {
  // What other holders read of the block happens before its next owner writes.
  if (block_->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) block_->pool->give_back(*block_);
}

int64_t KvPool::block_bytes_of(const KvShape& shape, CacheType type) {
  int64_t bytes = ops::cache_row_bytes(type, shape.head_dim);
  for (const int64_t factor : {shape.num_kv_heads, shape.num_layers, 2 * kBlockTokens})
    bytes = checked_mul(bytes, factor, "[kv_pool] bytes of a block");
  return bytes;
}

std::shared_ptr<KvPool> KvPool::create(KvShape shape, CacheType type, KvPoolOptions options) {
  require(shape.num_layers >= 0 && shape.num_kv_heads >= 0 && shape.head_dim >= 0 &&
              options.budget_bytes >= 0 && options.slab_bytes >= 0,
          ErrorCode::kInvalidArgument,
          "[kv_pool] {} layers x {} heads x {}, a budget of {} bytes, slabs of {}: none may be negative",
          shape.num_layers, shape.num_kv_heads, shape.head_dim, options.budget_bytes, options.slab_bytes);
  const int64_t block = block_bytes_of(shape, type);
  int64_t max_blocks = kNoLimit;
  if (options.budget_bytes > 0 && block > 0) {
    max_blocks = options.budget_bytes / block;
    require(max_blocks > 0, ErrorCode::kInvalidArgument,
            "[kv_pool] a budget of {} bytes holds no block of {} tokens, which takes {}",
            options.budget_bytes, kBlockTokens, block);
  }
  return std::make_shared<KvPool>(Access{}, shape, type, std::move(options), max_blocks);
}

KvPool::KvPool(Access, KvShape shape, CacheType type, KvPoolOptions options, int64_t max_blocks)
    : shape_(shape),
      type_(type),
      options_(std::move(options)),
      row_bytes_(ops::cache_row_bytes(type, shape.head_dim)),
      max_blocks_(max_blocks) {}

KvPool::~KvPool() = default;

// A slab of at least one block, at most what the budget still allows. The first ones are small, so that a
// short prompt does not take what a long one needs.
void KvPool::grow(int64_t at_least) {
  const int64_t most = std::max<int64_t>(1, options_.slab_bytes / std::max<int64_t>(block_bytes(), 1));
  const int64_t count =
      std::min(std::clamp(std::max(held_, at_least), int64_t{1}, most), max_blocks_ - held_);
  auto slab = std::make_unique<Slab>();
  slab->count = count;
  const auto bytes = static_cast<size_t>(checked_mul(count, block_bytes(), "[kv_pool] a slab"));
  slab->memory = options_.backend ? options_.backend->allocate(bytes) : Storage::allocate(bytes);
  slab->blocks = std::make_unique<Block[]>(static_cast<size_t>(count));
  const size_t room = static_cast<size_t>(held_ + count);
  if (free_.capacity() < room) free_.reserve(std::max(room, 2 * free_.capacity()));
  slabs_.push_back(std::move(slab));
  Slab& added = *slabs_.back();
  for (int64_t i = count - 1; i >= 0; --i) {  // the first is taken first
    Block& block = added.blocks[static_cast<size_t>(i)];
    block.data = added.memory->address() + i * block_bytes();
    block.pool = this;
    block.slab = &added;
    free_.push_back(&block);
  }
  held_ += count;
}

int64_t KvPool::missing(int64_t count) const {
  return max_blocks_ == kNoLimit ? 0 : std::max<int64_t>(0, count - (max_blocks_ - used_));
}

std::vector<KvBlockRef> KvPool::allocate(int64_t count) {
  require(count >= 0, ErrorCode::kInvalidArgument, "[kv_pool] {} blocks", count);
  std::vector<KvBlockRef> blocks;
  for (;;) {
    Reclaimer reclaimer;
    int64_t short_of = 0, available = 0;
    {
      const std::lock_guard lock(mutex_);
      short_of = missing(count);
      if (short_of == 0) {
        blocks.reserve(static_cast<size_t>(count));
        while (static_cast<int64_t>(free_.size()) < count)
          grow(count - static_cast<int64_t>(free_.size()));  // throws before a block is taken
        for (int64_t i = 0; i < count; ++i) {
          Block& block = *free_.back();
          free_.pop_back();
          ++static_cast<Slab*>(block.slab)->used;
          block.holders.store(1, std::memory_order_relaxed);
          blocks.push_back(KvBlockRef(block));
        }
        used_ += count;
        peak_ = std::max(peak_, used_);
        if (used_ > 0 && !self_) self_ = shared_from_this();
        return blocks;
      }
      available = max_blocks_ - used_;
      reclaimer = reclaimer_;
    }
    // What it frees another thread may take first: asked again as long as that helps.
    if (count <= max_blocks_ && reclaimer && reclaimer(*this, short_of) > 0) continue;
    throw KvPoolFull(count, available,
                     fmt::format("[kv_pool] {} blocks of {} tokens are wanted and {} of {} are free within "
                                 "the budget of {} bytes",
                                 count, kBlockTokens, available, max_blocks_, options_.budget_bytes));
  }
}

void KvPool::copy(const KvBlockRef& from, const KvBlockRef& to) const {
  const auto bytes = static_cast<size_t>(block_bytes());
  Storage &source = *static_cast<Slab*>(from.block_->slab)->memory,
          &target = *static_cast<Slab*>(to.block_->slab)->memory;
  if (source.device().is_host()) {
    std::memcpy(to.data(), from.data(), bytes);
    return;
  }
  options_.backend->copy(source, static_cast<size_t>(from.data() - source.address()), target,
                         static_cast<size_t>(to.data() - target.address()), bytes);
}

bool KvPool::make_free(int64_t count) {
  for (;;) {
    Reclaimer reclaimer;
    int64_t short_of = 0;
    {
      const std::lock_guard lock(mutex_);
      short_of = missing(count);
      reclaimer = reclaimer_;
    }
    if (short_of == 0) return true;
    if (count > max_blocks_ || !reclaimer || reclaimer(*this, short_of) <= 0) return false;
  }
}

void KvPool::set_reclaimer(Reclaimer reclaimer) {
  const std::lock_guard lock(mutex_);
  reclaimer_ = std::move(reclaimer);
}

// Of a slab in which no block is in use.
std::unique_ptr<KvPool::Slab> KvPool::take_out(Slab& slab) noexcept {
  std::erase_if(free_, [&](const Block* block) { return block->slab == &slab; });
  held_ -= slab.count;
  const auto found = std::ranges::find_if(slabs_, [&](const auto& s) { return s.get() == &slab; });
  std::unique_ptr<Slab> result = std::move(*found);
  slabs_.erase(found);
  return result;
}

void KvPool::give_back(Block& block) noexcept {
  std::shared_ptr<KvPool> last;  // goes after the lock: it may be all that holds this pool
  std::unique_ptr<Slab> unused;
  const std::lock_guard lock(mutex_);
  Slab& slab = *static_cast<Slab*>(block.slab);
  free_.push_back(&block);  // there is room
  --slab.used;
  if (--used_ == 0) last = std::move(self_);
  if (slab.used > 0 || max_blocks_ != kNoLimit) return;
  const bool spare =
      std::ranges::any_of(slabs_, [&](const auto& s) { return s->used == 0 && s.get() != &slab; });
  if (spare) unused = take_out(slab);
}

int64_t KvPool::used_blocks() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

int64_t KvPool::free_blocks() const {
  const std::lock_guard lock(mutex_);
  return max_blocks_ == kNoLimit ? kNoLimit : max_blocks_ - used_;
}

int64_t KvPool::peak_blocks() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

int64_t KvPool::held_blocks() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

void KvPool::release_unused() {
  std::vector<std::unique_ptr<Slab>> unused;  // goes after the lock
  const std::lock_guard lock(mutex_);
  for (size_t i = slabs_.size(); i-- > 0;) {
    if (slabs_[i]->used == 0) unused.push_back(take_out(*slabs_[i]));
  }
}

}  // namespace vl3
