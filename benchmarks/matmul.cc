// How fast linear layers run, beside what the machine can do: benchmark_matmul [threads]. Prints one line per
// shape.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "base/thread_pool.h"
#include "ops/cpu/kernels.h"
#include "ops/ops.h"

namespace {

using namespace vl3;

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Tensor filled(Shape shape, DType dtype) {
  Tensor tensor = Tensor::zeros(std::move(shape), dtype);
  uint32_t state = 1;
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
    if (dtype == DType::kF32)
      tensor.data<float>()[i] = value;
    else
      tensor.data<bf16>()[i].bits = static_cast<uint16_t>(__builtin_bit_cast(uint32_t, value) >> 16);
  }
  return tensor;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    Context context(ContextOptions{.num_threads = threads, .compute = compute});
    fmt::print("path {}, {} threads, compute {}\n", context.kernels().name, context.threads().size(),
               compute == Compute::kF32 ? "f32" : "auto");
    const int64_t shapes[][2] = {{1152, 1152}, {4304, 1152}, {1152, 4304},
                                 {1536, 1536}, {8960, 1536}, {1536, 8960}};
    for (const auto& [n, k] : shapes) {
      const Tensor w = filled({n, k}, DType::kBF16);
      for (const int64_t m : {1, 4, 16, 256, 1024}) {
        const Tensor x = filled({m, k}, DType::kF32);
        double best = 1e30;
        for (int i = 0; i < 5; ++i) {
          const double start = now_s();
          const Tensor y = ops::linear(context, x, w);
          best = std::min(best, now_s() - start);
        }
        fmt::print("  {:5} x {:5}  M {:5}  {:8.1f} GFLOP/s  {:6.1f} GB/s of weights\n", n, k, m,
                   2e-9 * static_cast<double>(m * n * k) / best, 2e-9 * static_cast<double>(n * k) / best);
      }
    }
  }
}
