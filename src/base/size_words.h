#pragma once
// Sizes as people read them.

#include <fmt/format.h>

#include <string>

namespace vl3 {

// "12.3 MB", "4.56 GB": of a million and of a thousand million bytes.
inline std::string size_words(double bytes) {
  constexpr double kMega = 1e6, kGiga = 1e9;
  return bytes < kGiga ? fmt::format("{:.1f} MB", bytes / kMega) : fmt::format("{:.2f} GB", bytes / kGiga);
}

}  // namespace vl3
