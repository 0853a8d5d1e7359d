#pragma once
// How the library says no: fail(code, "[op] …", values…), or require(condition, …) before it.

#include <fmt/format.h>

#include <utility>

#include "vl3/error.h"

namespace vl3 {

template <class... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// The message is only made when the condition does not hold.
template <class... Args>
inline void require(bool condition, ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]]
    fail(code, format, std::forward<Args>(args)...);
}

// Products of sizes that came from a file. Throws kLimitExceeded, naming what, when the result does not fit.
inline int64_t checked_mul(int64_t a, int64_t b, const char* what) {
  int64_t result = 0;
  require(!__builtin_mul_overflow(a, b, &result), ErrorCode::kLimitExceeded, "{}: {} x {} overflows", what, a,
          b);
  return result;
}
inline int64_t checked_add(int64_t a, int64_t b, const char* what) {
  int64_t result = 0;
  require(!__builtin_add_overflow(a, b, &result), ErrorCode::kLimitExceeded, "{}: {} + {} overflows", what, a,
          b);
  return result;
}

}  // namespace vl3
