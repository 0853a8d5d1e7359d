#include <algorithm>
#include <atomic>
#include <fstream>

#include "bench/bench.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "runtime/peak.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

// The median: memory is shared with other machines of the host, whose share changes by the second.
double read_gbs(Context& context) {
  constexpr int64_t kWords = int64_t{64} << 20, kPiece = 1 << 16;  // u64
  const Tensor memory = Tensor::zeros({kWords}, DType::kI64);
  const int64_t* words = memory.data<int64_t>();
  std::atomic<int64_t> total{0};
  constexpr int kTries = 15;
  return operation_rates(kTries, [&] {
    context.threads().parallel_for(kWords / kPiece, 1, [&](int64_t piece, int64_t, int) {
      typedef int64_t Words __attribute__((vector_size(64)));
      Words sums[4] = {};
      for (int64_t i = piece * kPiece; i < (piece + 1) * kPiece; i += 32) {
        for (int j = 0; j < 4; ++j) sums[j] += *reinterpret_cast<const Words*>(words + i + 8 * j);
      }
      const Words sum = sums[0] + sums[1] + sums[2] + sums[3];
      total += sum[0] + sum[7];
    });
    return static_cast<double>(kWords) * 8;
  })[kTries / 2];
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

int64_t status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(field, 0) == 0) return std::stoll(line.substr(field.size() + 1)) * 1024;
  }
  return 0;
}

}  // namespace

MachinePeaks measure_peaks(Context& context) {
  const KernelSet& kernels = kernels_of(context);
  MachinePeaks peaks{cpu_name(), kernels.name, context.threads().size(), 0, {}, {}, 0};
  peaks.f32_gflops = peak_fma_gflops(context, kernels.peak_fma_f32);
  if (kernels.peak_fma_bf16 != nullptr) peaks.bf16_gflops = peak_fma_gflops(context, kernels.peak_fma_bf16);
  if (kernels.peak_fma_int8 != nullptr) peaks.int8_gflops = peak_fma_gflops(context, kernels.peak_fma_int8);
  peaks.read_gbs = read_gbs(context);
  return peaks;
}

int64_t peak_rss_bytes() { return status_bytes("VmHWM:"); }

void reset_peak_rss() { std::ofstream("/proc/self/clear_refs") << "5"; }

}  // namespace vl3
