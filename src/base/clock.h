#pragma once
// Time that only goes forward, for durations.

#include <chrono>

namespace vl3 {

inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace vl3
