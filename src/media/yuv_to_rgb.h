#pragma once
// Y, U and V as RGB, in the integers of FFmpeg's scaler.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace vl3 {

// One matrix and range. Bit by bit what libswscale writes for RGB24 without SIMD of its own.
class YuvToRgb {
 public:
  // As sws_getCoefficients() gives them: V to red, U to blue, U to green, V to green, in 1/2^16.
  YuvToRgb(std::span<const int, 4> coefficients, bool full_range);

  // One row in which two pixels share U and V: y [width], 0 to 256 (what the largest samples of more than 8
  // bits are rounded to), u and v [(width + 1) / 2] in 8 bits.
  void pairs(std::span<const uint16_t> y, const uint8_t* u, const uint8_t* v, uint8_t* rgb) const;
  // One row with U and V of every pixel, in 1/2^9 of a step of 8 bits; u and v less their middle.
  void pixels(std::span<const int32_t> y, const int32_t* u, const int32_t* v, uint8_t* rgb) const;

 private:
  // 8 bits of every brightness; what U and V do is a step within it.
  static constexpr int kMargin = 512;
  std::array<uint8_t, 1024 + 2 * kMargin> levels_{};
  std::array<int32_t, 256> red_of_v_{}, green_of_u_{}, green_of_v_{}, blue_of_u_{};
  int32_t y_offset_, y_scale_, v_to_red_, u_to_blue_, u_to_green_, v_to_green_;  // for pixels()
};

}  // namespace vl3
