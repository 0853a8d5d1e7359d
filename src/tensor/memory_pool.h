#pragma once
// Memory of operations: buffers that live for moments, cut out of a few large regions and joined again when
// they are let go. What was used last lies in the caches and its pages are there, so a pass that has run once
// asks the system for nothing more.

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "vl3/tensor.h"

namespace vl3 {

// Any thread may take buffers and let them go. Owned by a shared_ptr: buffers keep the pool alive.
class MemoryPool : public std::enable_shared_from_this<MemoryPool> {
 public:
  // What lies between a buffer and the next one is filled with this, so that a test sees who writes there.
  static constexpr std::byte kGuard{0xab};

  // 64-byte aligned, not initialised, followed by at least 64 bytes of kGuard, which are the storage's as
  // well. The lowest free place is taken. Throws kOutOfMemory.
  std::shared_ptr<Storage> take(size_t bytes);

  // Regions in which nothing is in use go back to the system.
  void release_unused() noexcept;

  size_t used() const noexcept;  // bytes, and the most there ever were
  size_t peak() const noexcept;
  size_t held() const noexcept;  // of the system's memory: what has been touched of the regions

 private:
  struct Region {
    std::shared_ptr<Storage> memory;
    size_t touched = 0;  // from the region's begin
  };
  using Spans = std::map<std::byte*, size_t>;  // free places by address; neighbours of a region are joined

  Spans::iterator find(size_t size);
  Spans::iterator grow(size_t size);
  void give_back(std::byte* data, size_t size) noexcept;
  Region& region_of(std::byte* data);

  mutable std::mutex mutex_;
  std::map<std::byte*, Region> regions_;
  Spans free_;
  size_t used_ = 0, peak_ = 0;
};

}  // namespace vl3
