#include "vl3/context.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/cpu/kernels.h"

// A pooled buffer is larger than what was asked for and outlives its use: tell AddressSanitizer which of it
// may be touched.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace vl3 {
namespace {

const KernelSet* best_kernels() {
  for (const KernelSet* set : {amx_kernels(), avx512_kernels(), avx2_kernels()}) {
    if (set != nullptr) return set;
  }
  return baseline_kernels();
}

const KernelSet* kernels_named(const std::string& name) {
  if (name.empty() || name == "auto") return best_kernels();
  const KernelSet* set = nullptr;
  if (name == "baseline")
    set = baseline_kernels();
  else if (name == "avx2")
    set = avx2_kernels();
  else if (name == "avx512")
    set = avx512_kernels();
  else if (name == "amx")
    set = amx_kernels();
  else
    fail(ErrorCode::kInvalidArgument, "[cpu] path \"{}\" is not one of auto, baseline, avx2, avx512, amx",
         name);
  require(set != nullptr, ErrorCode::kUnsupported, "[cpu] this processor cannot run the path \"{}\"", name);
  return set;
}

}  // namespace

// Buffers by rounded size. Shared with the tensors it handed out, which return their buffer when the last one
// lets go.
struct Context::Pool : std::enable_shared_from_this<Context::Pool> {
  std::mutex mutex;
  std::multimap<size_t, std::shared_ptr<Storage>> free;
  size_t used = 0, peak = 0, unused = 0;

  // Sizes in steps of an eighth of their power of two: little is wasted, and sizes that vary a little meet
  // again.
  static size_t rounded(size_t bytes) {
    size_t power = 1024;
    while (power < bytes) power *= 2;
    const size_t step = std::max<size_t>(power / 16, 64);
    return (std::max<size_t>(bytes, 64) + step - 1) / step * step;
  }

  std::shared_ptr<Storage> take(size_t bytes) {
    const size_t size = rounded(bytes);
    std::shared_ptr<Storage> buffer;
    {
      std::lock_guard lock(mutex);
      used += size;
      peak = std::max(peak, used);
      if (const auto found = free.find(size); found != free.end()) {
        buffer = std::move(found->second);
        free.erase(found);
        unused -= size;
      }
      // Batches of ever other sizes would leave ever more buffers that nobody asks for again.
      while (buffer == nullptr && !free.empty() && used + unused > peak + peak / 16) {
        const auto largest = std::prev(free.end());
        unused -= largest->first;
        free.erase(largest);
      }
    }
    if (buffer == nullptr) {
      try {
        buffer = Storage::allocate(size);
      } catch (...) {
        std::lock_guard lock(mutex);
        used -= size;
        throw;
      }
    }
    std::byte* data = buffer->data();
    ASAN_UNPOISON_MEMORY_REGION(data, size);
    ASAN_POISON_MEMORY_REGION(data + bytes, size - bytes);
    return Storage::wrap(data, size, false,
                         [pool = shared_from_this(), buffer = std::move(buffer), size]() mutable {
                           std::lock_guard lock(pool->mutex);
                           pool->used -= size;
                           ASAN_POISON_MEMORY_REGION(buffer->data(), size);
                           pool->free.emplace(size, std::move(buffer));
                           pool->unused += size;
                         });
  }
};

Context::Context(ContextOptions options)
    : threads_(std::make_unique<ThreadPool>(options.num_threads)),
      compute_(options.compute),
      cache_(options.cache),
      pool_(std::make_shared<Pool>()),
      log_(std::move(options.log)) {
  if (options.cpu.empty()) {
    const char* set = std::getenv("VL3_CPU");
    if (set != nullptr) options.cpu = set;
  }
  kernels_ = kernels_named(options.cpu);
}

Context::~Context() = default;

Tensor Context::empty(Shape shape, DType dtype) {
  const int64_t bytes = bytes_of(dtype, shape);
  return {pool_->take(static_cast<size_t>(bytes)), 0, std::move(shape), dtype};
}

size_t Context::peak_bytes() const noexcept {
  std::lock_guard lock(pool_->mutex);
  return pool_->peak;
}

size_t Context::held_bytes() const noexcept {
  std::lock_guard lock(pool_->mutex);
  return pool_->used + pool_->unused;
}

size_t Context::used_bytes() const noexcept {
  std::lock_guard lock(pool_->mutex);
  return pool_->used;
}

void Context::release_unused() noexcept {
  std::multimap<size_t, std::shared_ptr<Storage>> released;
  std::lock_guard lock(pool_->mutex);
  released.swap(pool_->free);
  pool_->unused = 0;
}

void Context::check_cancelled() const { require(!cancelled(), ErrorCode::kCancelled, "[context] cancelled"); }

void Context::log(LogLevel level, std::string_view message) const {
  if (log_) log_(level, message);
}

}  // namespace vl3
