#pragma once
// Random numbers that are the same on every machine: splitmix64 (Steele, Lea and Flood, 2014).

#include <cstdint>
#include <utility>
#include <vector>

namespace vl3::scenes {

constexpr uint64_t splitmix64(uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(splitmix64(seed)) {}

  uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15;
    return splitmix64(state_);
  }
  int below(int n) noexcept { return static_cast<int>((next() >> 32) * static_cast<uint64_t>(n) >> 32); }
  int between(int low, int high) noexcept { return low + below(high - low + 1); }  // both included
  double uniform(double low, double high) noexcept {
    return low + (high - low) * static_cast<double>(next() >> 11) * 0x1p-53;
  }
  bool chance(double p) noexcept { return uniform(0, 1) < p; }
  template <class T>
  const T& pick(const std::vector<T>& list) noexcept {
    return list[static_cast<size_t>(below(static_cast<int>(list.size())))];
  }
  template <class T>
  void shuffle(std::vector<T>& list) noexcept {
    for (size_t i = list.size(); i > 1; --i)
      std::swap(list[i - 1], list[static_cast<size_t>(below(static_cast<int>(i)))]);
  }

 private:
  uint64_t state_;
};

}  // namespace vl3::scenes
