#include "tensor/memory_pool.h"

#include <algorithm>
#include <cstring>
#include <iterator>

// Tells AddressSanitizer what of a region may be touched.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace vl3 {
namespace {

constexpr size_t kAlignment = 64;
// A region is at least so large: the system gives a page when it is touched, so the rest costs nothing.
constexpr size_t kRegion = 64 << 20;

size_t with_guard(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment + kAlignment; }

}  // namespace

std::shared_ptr<Storage> MemoryPool::take(size_t bytes) {
  const size_t size = with_guard(bytes);
  std::byte* data = nullptr;
  {
    std::lock_guard lock(mutex_);
    auto place = find(size);
    if (place == free_.end()) place = grow(size);
    data = place->first;
    auto rest = free_.extract(place);
    rest.key() += size;
    rest.mapped() -= size;
    if (rest.mapped() > 0) free_.insert(std::move(rest));
    Region& region = region_of(data);
    region.touched = std::max(region.touched, static_cast<size_t>(data + size - region.memory->address()));
    used_ += size;
    peak_ = std::max(peak_, used_);
  }
  ASAN_UNPOISON_MEMORY_REGION(data, size);
  std::memset(data + bytes, static_cast<int>(kGuard), size - bytes);
  ASAN_POISON_MEMORY_REGION(data + bytes, size - bytes);
  return Storage::wrap(data, size, false,
                       [pool = shared_from_this(), data, size] { pool->give_back(data, size); });
}

void MemoryPool::release_unused() noexcept {
  std::lock_guard lock(mutex_);
  for (auto region = regions_.begin(); region != regions_.end();) {
    const Storage& memory = *region->second.memory;
    const auto span = free_.find(memory.address());
    if (span == free_.end() || span->second != memory.bytes()) {
      ++region;
      continue;
    }
    ASAN_UNPOISON_MEMORY_REGION(memory.address(), memory.bytes());
    free_.erase(span);
    region = regions_.erase(region);
  }
}

size_t MemoryPool::used() const noexcept {
  std::lock_guard lock(mutex_);
  return used_;
}

size_t MemoryPool::peak() const noexcept {
  std::lock_guard lock(mutex_);
  return peak_;
}

size_t MemoryPool::held() const noexcept {
  std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& [begin, region] : regions_) bytes += region.touched;
  return bytes;
}

MemoryPool::Spans::iterator MemoryPool::find(size_t size) {
  return std::find_if(free_.begin(), free_.end(), [&](const auto& span) { return span.second >= size; });
}

MemoryPool::Spans::iterator MemoryPool::grow(size_t size) {
  Region region{Storage::allocate(std::max(size, kRegion))};
  std::byte* const data = region.memory->address();
  const size_t bytes = region.memory->bytes();
  ASAN_POISON_MEMORY_REGION(data, bytes);
  regions_.emplace(data, std::move(region));
  return free_.emplace(data, bytes).first;
}

void MemoryPool::give_back(std::byte* data, size_t size) noexcept {
  std::lock_guard lock(mutex_);
  ASAN_POISON_MEMORY_REGION(data, size);
  used_ -= size;
  const Storage& memory = *region_of(data).memory;
  auto next = free_.lower_bound(data);
  if (next != free_.end() && next->first == data + size && next->first < memory.address() + memory.bytes()) {
    size += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin() && data != memory.address()) {
    const auto before = std::prev(next);
    if (before->first + before->second == data) {
      before->second += size;
      return;
    }
  }
  free_.emplace_hint(next, data, size);
}

MemoryPool::Region& MemoryPool::region_of(std::byte* data) {
  return std::prev(regions_.upper_bound(data))->second;
}

}  // namespace vl3
