#pragma once
// The bits of a coded header, most significant first. Behind the end there are zeros.

#include <cstddef>
#include <cstdint>
#include <span>

namespace vl3 {

class BitReader {
 public:
  explicit BitReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  uint32_t bit() {
    const size_t byte = at_ / 8, shift = 7 - at_ % 8;
    ++at_;
    return byte < bytes_.size() ? (bytes_[byte] >> shift) & 1u : 0u;
  }
  uint32_t bits(int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 1 | bit();
    return value;
  }
  void skip(size_t count) { at_ += count; }
  bool ended() const { return at_ > bytes_.size() * 8; }
  // An Exp-Golomb code without sign.
  uint32_t golomb() {
    int zeros = 0;
    while (zeros < 32 && !ended() && bit() == 0) ++zeros;
    return zeros >= 32 ? UINT32_MAX : (1u << zeros) - 1 + bits(zeros);
  }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
};

}  // namespace vl3
