#pragma once
// Memory of keys and values in blocks of tokens ("pages"): caches of many sequences take blocks from one pool
// and share those of a common prefix. Reference: "Efficient Memory Management for Large Language Model
// Serving with PagedAttention" (Kwon et al. 2023).

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "vl3/context.h"
#include "vl3/error.h"

namespace vl3 {

struct KvShape {
  int64_t num_layers = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  friend bool operator==(const KvShape&, const KvShape&) = default;
};

// The pool's budget is used up, and nothing could be reclaimed. Nothing was taken and nothing changed: end,
// preempt or wait for another sequence, and ask again. Its code is kLimitExceeded.
class KvPoolFull : public Error {
 public:
  KvPoolFull(int64_t wanted, int64_t free, const std::string& message)
      : Error(ErrorCode::kLimitExceeded, message), wanted_(wanted), free_(free) {}
  int64_t wanted() const noexcept { return wanted_; }  // blocks that were asked for at once
  int64_t free() const noexcept { return free_; }      // blocks that could have been had

 private:
  int64_t wanted_, free_;
};

class KvPool;

// One holder of a block; the block goes back to its pool with the last of them. Copies are made and let go
// by any thread; one object belongs to one thread at a time, as a shared_ptr does. Who finds shared() false
// holds the block alone and may write to it.
class KvBlockRef {
 public:
  KvBlockRef() = default;  // of no block
  KvBlockRef(const KvBlockRef& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) block_->holders.fetch_add(1, std::memory_order_relaxed);
  }
  KvBlockRef(KvBlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  KvBlockRef& operator=(KvBlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~KvBlockRef() {
    if (block_ != nullptr) release();
  }

  // An address of the pool's device: the host reads and writes it where that is the host.
  std::byte* data() const noexcept { return block_->data; }
  bool shared() const noexcept { return block_->holders.load(std::memory_order_acquire) > 1; }
  const KvPool* pool() const noexcept { return block_->pool; }
  int64_t bytes() const noexcept;
  explicit operator bool() const noexcept { return block_ != nullptr; }
  friend bool operator==(const KvBlockRef&, const KvBlockRef&) = default;

 private:
  friend class KvPool;
  struct Block {
    std::byte* data = nullptr;
    KvPool* pool = nullptr;
    void* slab = nullptr;
    std::atomic<int64_t> holders{0};
  };
  explicit KvBlockRef(Block& block) noexcept : block_(&block) {}  // the first holder
  void release() noexcept;

  Block* block_ = nullptr;
};

struct KvPoolOptions {
  int64_t budget_bytes = 0;  // of blocks in use and free together; 0: as much as is asked for
  // Memory comes from the system in pieces that grow up to this size, so that a block costs no call of it. 0:
  // block by block.
  int64_t slab_bytes = int64_t{16} << 20;
  std::shared_ptr<Backend> backend = nullptr;  // of the device whose memory the blocks are; null: the host's
};

// Thread-safe. A pool lives as long as somebody holds it or one of its blocks.
//
// Without a budget a piece of memory in which no block is in use goes back to the system, but for one that is
// kept; with a budget it stays until release_unused.
class KvPool : public std::enable_shared_from_this<KvPool> {
 public:
  static constexpr int64_t kBlockTokens = 64;
  static constexpr int64_t kNoLimit = INT64_MAX;

  // Throws kInvalidArgument for negative numbers and for a budget that holds no block.
  static std::shared_ptr<KvPool> create(KvShape shape, CacheType type, KvPoolOptions options = {});
  KvPool(const KvPool&) = delete;
  KvPool& operator=(const KvPool&) = delete;

  const KvShape& shape() const noexcept { return shape_; }
  CacheType type() const noexcept { return type_; }
  // A block holds [layer][keys, values][Hkv][kBlockTokens] rows of ops::cache_row_bytes, all dense.
  int64_t row_bytes() const noexcept { return row_bytes_; }
  int64_t plane_bytes() const noexcept { return shape_.num_kv_heads * kBlockTokens * row_bytes_; }
  int64_t block_bytes() const noexcept { return shape_.num_layers * 2 * plane_bytes(); }
  // The same before there is a pool. Throws kLimitExceeded where it is no 64-bit number.
  static int64_t block_bytes_of(const KvShape& shape, CacheType type);
  static int64_t blocks_for(int64_t tokens) noexcept { return (tokens + kBlockTokens - 1) / kBlockTokens; }

  // count blocks, not initialised, or none: where the budget does not have them the reclaimer is asked, and
  // then KvPoolFull is thrown; kOutOfMemory where the system has no memory.
  std::vector<KvBlockRef> allocate(int64_t count);
  // The bytes of a block of this pool into another one of it, on its device.
  void copy(const KvBlockRef& from, const KvBlockRef& to) const;
  // Whether allocate(count) would succeed now; asks the reclaimer where that helps.
  bool make_free(int64_t count);

  // Asked for blocks that are missing in the budget; lets go of what nobody needs and says how many blocks
  // that has freed, 0 when there is nothing more. Called without a lock of the pool, by the thread that wants
  // blocks, which must not hold a lock that the reclaimer takes. An empty one: nobody is asked.
  using Reclaimer = std::function<int64_t(const KvPool& pool, int64_t missing)>;
  void set_reclaimer(Reclaimer reclaimer);

  int64_t max_blocks() const noexcept { return max_blocks_; }  // kNoLimit without a budget
  int64_t used_blocks() const;                                 // a shared block counts once
  int64_t free_blocks() const;  // what allocate gives without asking anybody; kNoLimit without a budget
  int64_t peak_blocks() const;  // most that were in use at once
  int64_t held_blocks() const;  // in use, or kept to be used again
  void release_unused();        // memory in which no block is in use goes back to the system

 private:
  friend class KvBlockRef;
  using Block = KvBlockRef::Block;
  struct Slab;
  struct Access {};  // so that only create makes one

 public:
  KvPool(Access, KvShape shape, CacheType type, KvPoolOptions options, int64_t max_blocks);
  ~KvPool();

 private:
  void grow(int64_t at_least);
  int64_t missing(int64_t count) const;  // blocks beyond the budget
  void give_back(Block& block) noexcept;
  std::unique_ptr<Slab> take_out(Slab& slab) noexcept;

  const KvShape shape_;
  const CacheType type_;
  const KvPoolOptions options_;
  const int64_t row_bytes_, max_blocks_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<Block*> free_;  // has room for all blocks held
  int64_t used_ = 0, peak_ = 0, held_ = 0;
  Reclaimer reclaimer_;
  std::shared_ptr<KvPool> self_;  // while a block is in use
};

}  // namespace vl3
