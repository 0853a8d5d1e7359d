#pragma once
// Clang 14 has no name for F16C in __builtin_cpu_supports.

#include <cpuid.h>

namespace {

inline bool has_f16c() {
  unsigned int a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace
