#include "vl3/context.h"

#include <cstdlib>

#include "base/check.h"
#include "ops/cpu/kernels/kernels.h"
#include "tensor/memory_pool.h"
#include "vl3/thread_pool.h"

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

Context::Context(ContextOptions options)
    : threads_(std::make_unique<ThreadPool>(options.num_threads)),
      compute_(options.compute),
      cache_(options.cache),
      pool_(std::make_shared<MemoryPool>()),
      log_(std::move(options.log)) {
  if (options.cpu.empty()) {
    const char* set = std::getenv("VL3_CPU");
    if (set != nullptr) options.cpu = set;
  }
  kernels_ = kernels_named(options.cpu);
  if (options.device.empty()) {
    const char* set = std::getenv("VL3_DEVICE");
    options.device = set != nullptr && *set != '\0' ? set : "cpu";
  }
  backend_ = backend_named(options.device, options.backends);
}

Context::~Context() = default;

Tensor Context::empty(Shape shape, DType dtype) {
  const size_t bytes = static_cast<size_t>(bytes_of(dtype, shape));
  return {device().is_host() ? pool_->take(bytes) : backend_->allocate(bytes), 0, std::move(shape), dtype};
}

size_t Context::peak_bytes() const noexcept { return pool_->peak(); }
size_t Context::used_bytes() const noexcept { return pool_->used(); }
size_t Context::held_bytes() const noexcept { return pool_->held(); }
void Context::release_unused() noexcept { pool_->release_unused(); }

void Context::check_cancelled() const { require(!cancelled(), ErrorCode::kCancelled, "[context] cancelled"); }

void Context::log(LogLevel level, std::string_view message) const {
  if (log_) log_(level, message);
}

}  // namespace vl3
