#pragma once
// Pillow's conversion of YCbCr, for the codecs that leave it to us.

#include <algorithm>
#include <cstdint>

namespace vl3::media {

// In place: Y, Cb, Cr to R, G, B with BT.601's factors in sixty-fourths, each product rounded by adding a
// half and cutting off, as Pillow's tables were made.
inline void ycbcr_to_rgb(uint8_t* pixel) {
  const auto product = [](double factor, int value) { return static_cast<int>(factor * 64 * value + 0.5); };
  const int y = pixel[0], cb = pixel[1] - 128, cr = pixel[2] - 128;
  const auto clip = [](int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); };
  pixel[0] = clip(y + (product(1.402, cr) >> 6));
  pixel[1] = clip(y + ((product(-0.34414, cb) + product(-0.71414, cr)) >> 6));
  pixel[2] = clip(y + (product(1.772, cb) >> 6));
}

}  // namespace vl3::media
