#pragma once
// Everything an operation needs besides its operands: threads, kernels, scratch memory, the tape of training,
// cancellation. A context serves one call at a time; models are const and may be shared by many contexts.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/export.h"
#include "vl3/tensor.h"

namespace vl3 {

class MemoryPool;
class ThreadPool;
class Tape;
struct KernelSet;

// kF32: activations and products in f32 whatever the weights' type. kAuto: what the hardware is fast at,
// within the bound that docs/numerics.md states.
enum class Compute { kF32, kAuto };

// How keys and values of earlier tokens are kept.
enum class CacheType : uint8_t { kF32, kF16, kInt8 };

enum class LogLevel { kDebug, kInfo, kWarning };
using LogSink = std::function<void(LogLevel, std::string_view)>;

struct ContextOptions {
  int num_threads = 0;  // 0: as many as the process may use
  Compute compute = Compute::kAuto;
  std::optional<CacheType> cache;  // none: f32 for f32 weights and Compute::kF32, else f16
  std::string cpu;  // "" takes VL3_CPU, else the best path: "auto", "baseline", "avx2", "avx512", "amx"
  // Where operations compute and their results lie: the name of a backend; "" takes VL3_DEVICE, else "cpu".
  std::string device;
  LogSink log;                                     // none: silent
  std::vector<std::shared_ptr<Backend>> backends;  // that device may name besides "cpu"
};

class VL3_API Context {
 public:
  explicit Context(ContextOptions options = {});
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  ThreadPool& threads() const noexcept { return *threads_; }
  Backend& backend() const noexcept { return *backend_; }
  Device device() const noexcept { return backend_->device(); }
  Compute compute() const noexcept { return compute_; }
  void set_compute(Compute compute) noexcept { compute_ = compute; }
  std::optional<CacheType> cache() const noexcept { return cache_; }

  // Sees the inputs [rows, K] f32 of linear layers before they are multiplied with the weights, which share
  // them. Set while a model is calibrated; null otherwise.
  using InputObserver = std::function<void(std::span<const Tensor* const> weights, const Tensor& inputs)>;
  const InputObserver& observer() const noexcept { return observer_; }
  void set_observer(InputObserver observer) { observer_ = std::move(observer); }

  // Adds up in place what every rank has of a sum [T, N] f32 of this context's device, where a layer's
  // weights are cut along their inputs and each rank multiplies its part (ops/row_parallel.h). None, the
  // default: this context has all of every product.
  using AllReduce = std::function<void(Context& context, const Tensor& sum)>;
  const AllReduce& all_reduce() const noexcept { return all_reduce_; }
  void set_all_reduce(AllReduce all_reduce) { all_reduce_ = std::move(all_reduce); }

  // Uninitialised memory of this context's device; of the host out of the context's pool
  // (tensor/memory_pool.h): what is let go is used again. The tensor may outlive the context.
  Tensor empty(Shape shape, DType dtype = DType::kF32);
  // Most bytes that were in use at once, and in use now; for plans, benchmarks and tests.
  size_t peak_bytes() const noexcept;
  size_t used_bytes() const noexcept;
  // In use or kept to be used again: little more than the most that were in use at once.
  size_t held_bytes() const noexcept;
  void release_unused() noexcept;  // regions of the pool in which nothing is in use go back to the system

  // Cancellation: any thread may ask; long operations notice between layers or tiles and throw kCancelled.
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  void clear_cancel() noexcept { cancelled_.store(false, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
  void check_cancelled() const;

  void log(LogLevel level, std::string_view message) const;

 private:
  friend struct ContextParts;
  std::unique_ptr<ThreadPool> threads_;
  const KernelSet* kernels_;
  std::shared_ptr<Backend> backend_;
  Compute compute_;
  std::optional<CacheType> cache_;
  Tape* tape_ = nullptr;
  InputObserver observer_;
  AllReduce all_reduce_;
  std::shared_ptr<MemoryPool> pool_;
  std::atomic<bool> cancelled_{false};
  LogSink log_;
};

// The same bytes where the context computes: the tensor itself if it lies there, else a copy.
inline Tensor to_device(const Context& context, const Tensor& tensor) {
  return to_device(context.backend(), tensor);
}

}  // namespace vl3
