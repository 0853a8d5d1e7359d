// Which tables of kernels this processor can run. Compiled for every processor of the architecture, and the
// only place that asks: nothing of a file that is compiled for more runs before the answer.

#include "ops/cpu/kernels/kernels.h"

#include "ops/cpu/kernels/tables.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace vl3 {
namespace {

#if defined(__x86_64__)
bool has_f16c() {  // clang 14 has no name for it in __builtin_cpu_supports
  unsigned int a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

bool runs_avx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && has_f16c();
}

bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

bool has_pairs() { return __builtin_cpu_supports("avx512bf16") != 0; }
bool has_quads() { return __builtin_cpu_supports("avx512vnni") != 0; }

KernelSet extended_avx512() {
  KernelSet set = *kAvx512Table;
  if (has_pairs()) use_avx512bf16(set);
  if (has_quads()) use_avx512vnni(set);
  return set;
}

// Whether the processor has tile registers for bf16 and int8, and Linux (5.16 and later) lets the process use
// them.
bool has_tiles() {
#if defined(__linux__)
  constexpr unsigned int kTiles = 1u << 24, kBf16 = 1u << 22, kInt8 = 1u << 25, kAll = kTiles | kBf16 | kInt8;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl
  unsigned int a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAll) == kAll &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

KernelSet extended_by_tiles() {
  KernelSet set = *avx512_kernels();
  use_amx(set);
  return set;
}
#endif

}  // namespace

const KernelSet* baseline_kernels() noexcept { return kBaselineTable; }

const KernelSet* avx2_kernels() noexcept {
#if defined(__x86_64__)
  return kAvx2Table != nullptr && runs_avx2() ? kAvx2Table : nullptr;
#else
  return nullptr;
#endif
}

const KernelSet* avx512_kernels() noexcept {
#if defined(__x86_64__)
  if (kAvx512Table == nullptr || !runs_avx512()) return nullptr;
  static const KernelSet set = extended_avx512();
  return &set;
#else
  return nullptr;
#endif
}

const KernelSet* amx_kernels() noexcept {
#if defined(__x86_64__)
  static const bool can = avx512_kernels() != nullptr && has_pairs() && has_quads() && has_tiles();
  if (!can) return nullptr;
  static const KernelSet set = extended_by_tiles();
  return &set;
#else
  return nullptr;
#endif
}

}  // namespace vl3
