#include "media/yuv_to_rgb.h"

#include <algorithm>

namespace vl3 {
namespace {

int32_t to_16_bits(int64_t value) {
  return static_cast<int32_t>(std::clamp<int64_t>((value + (1 << 15)) >> 16, -0x8000, 0x7fff));
}

uint8_t to_8_bits(int64_t value) { return static_cast<uint8_t>(std::clamp<int64_t>(value, 0, 255)); }

// What 256 levels of U or V add to the index of a level.
void steps(int64_t per_level, int64_t begin, std::array<int32_t, 256>& target) {
  for (int64_t i = 0; i < 256; ++i) {
    target[static_cast<size_t>(i)] = static_cast<int32_t>(begin - (per_level >> 9) + (i * per_level >> 16));
  }
}

}  // namespace

YuvToRgb::YuvToRgb(std::span<const int, 4> coefficients, bool full_range) {
  int64_t red = coefficients[0], blue = coefficients[1], green_u = -coefficients[2],
          green_v = -coefficients[3], luma = 1 << 16, black = 0;
  if (full_range) {
    for (int64_t* colour : {&red, &blue, &green_u, &green_v}) *colour = *colour * 224 / 255;
  } else {
    luma = luma * 255 / 219;
    black = 16 << 16;
  }
  y_scale_ = to_16_bits(luma << 13);
  y_offset_ = to_16_bits(black << 9);
  v_to_red_ = to_16_bits(red * (1 << 13));
  u_to_blue_ = to_16_bits(blue * (1 << 13));
  u_to_green_ = to_16_bits(green_u * (1 << 13));
  v_to_green_ = to_16_bits(green_v * (1 << 13));
  for (int64_t* colour : {&red, &blue, &green_u, &green_v}) *colour = (*colour * 65536 + 0x8000) / luma;
  int64_t level = -(int64_t{384} << 16) - kMargin * luma - black;
  for (uint8_t& target : levels_) {
    target = to_8_bits((level + 0x8000) >> 16);
    level += luma;
  }
  const int64_t begin = (full_range ? 384 : 326) + kMargin;
  steps(red, begin, red_of_v_);
  steps(blue, begin, blue_of_u_);
  steps(green_u, begin, green_of_u_);
  steps(green_v, 0, green_of_v_);
}

void YuvToRgb::pairs(std::span<const uint16_t> y, const uint8_t* u, const uint8_t* v, uint8_t* rgb) const {
  for (size_t x = 0; x < y.size(); x += 2) {
    const uint8_t* red = &levels_[static_cast<size_t>(red_of_v_[v[x / 2]])];
    const uint8_t* green = &levels_[static_cast<size_t>(green_of_u_[u[x / 2]] + green_of_v_[v[x / 2]])];
    const uint8_t* blue = &levels_[static_cast<size_t>(blue_of_u_[u[x / 2]])];
    for (size_t i = x; i < std::min(x + 2, y.size()); ++i) {
      rgb[3 * i] = red[y[i]];
      rgb[3 * i + 1] = green[y[i]];
      rgb[3 * i + 2] = blue[y[i]];
    }
  }
}

void YuvToRgb::pixels(std::span<const int32_t> y, const int32_t* u, const int32_t* v, uint8_t* rgb) const {
  // Sums wrap at 32 bits, as they do there.
  const auto level = [](uint32_t sum) {
    return static_cast<uint8_t>(std::clamp(static_cast<int32_t>(sum), 0, (1 << 30) - 1) >> 22);
  };
  const auto product = [](int32_t a, int32_t b) { return static_cast<uint32_t>(int64_t{a} * b); };
  for (size_t x = 0; x < y.size(); ++x) {
    const uint32_t luma = product(y[x] - y_offset_, y_scale_) + (1U << 21);
    rgb[3 * x] = level(luma + product(v[x], v_to_red_));
    rgb[3 * x + 1] = level(luma + product(v[x], v_to_green_) + product(u[x], u_to_green_));
    rgb[3 * x + 2] = level(luma + product(u[x], u_to_blue_));
  }
}

}  // namespace vl3
