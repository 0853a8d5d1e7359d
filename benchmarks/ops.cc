// How fast the operations run at the sizes of the 2B model, beside what the machine can do:
//   benchmark_ops [threads] [operation]
// A line for each: the best of five, GFLOP/s or GB/s, and the share of the peak measured before it.

#include "ops/ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "bench/bench.h"
#include "benchmarks/op_cases.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace {

using namespace vl3;

double peak_of(Context& context, const OpCase& c) {
  const MachinePeaks peaks = measure_peaks(context);
  if (!c.products) return peaks.read_gbs;
  if (context.compute() == Compute::kAuto) {
    if (is_quantized(c.type)) return peaks.int8_gflops.value_or(peaks.f32_gflops);
    if (c.type == DType::kBF16) return peaks.bf16_gflops.value_or(peaks.f32_gflops);
  }
  return peaks.f32_gflops;
}

void measure(Context& context, const OpCase& c) {
  const double peak = peak_of(context, c);
  double best = 1e30;
  for (int i = 0; i < 5; ++i) {
    const double start = now_s();
    c.work();
    best = std::min(best, now_s() - start);
  }
  const double rate = c.amount / best * 1e-9;
  fmt::print("  {:52} {:9.3f} ms  {:8.1f} {:7}  {:4.0f} %\n", c.name, best * 1e3, rate,
             c.products ? "GFLOP/s" : "GB/s", 100 * rate / peak);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  const std::string only = argc > 2 ? argv[2] : "";
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    Context context(ContextOptions{.num_threads = threads, .compute = compute});
    fmt::print("path {}, {} threads, compute {}\n", kernels_of(context).name, context.threads().size(),
               compute == Compute::kF32 ? "f32" : "auto");
    for (const OpCase& c : op_cases(context)) {
      if (only.empty() || c.op == only) measure(context, c);
    }
  }
}
