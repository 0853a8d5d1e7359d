#pragma once
// The hash by which recorded pixels are known (tools/goldens).

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace vl3::test {

// FNV-1a of 64 bits, in hexadecimal.
inline std::string fnv(const std::vector<uint8_t>& bytes) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

}  // namespace vl3::test
