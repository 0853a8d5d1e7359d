// Blocks of textures, from the format's description; Pillow's roundings.
#include "media/dds_blocks.h"

#include <array>
#include <cstring>

#include "media/dds_bptc.h"
#include "media/image_codec.h"

namespace vl3::media {
namespace {

using Colour = std::array<uint8_t, 3>;

Colour widen_565(uint32_t packed) {
  const uint32_t red = packed >> 11 & 31, green = packed >> 5 & 63, blue = packed & 31;
  return {static_cast<uint8_t>(red << 3 | red >> 2), static_cast<uint8_t>(green << 2 | green >> 4),
          static_cast<uint8_t>(blue << 3 | blue >> 2)};
}

// Two colours and what lies between them, two bits a pixel. alone: without alpha of its own, whose smaller
// first colour says that there is one colour between and a black one.
void decode_colours(const uint8_t* bytes, bool alone, uint8_t* rgb) {
  const uint32_t first = load_le16(bytes), second = load_le16(bytes + 2), indices = load_le32(bytes + 4);
  std::array<Colour, 4> colours{widen_565(first), widen_565(second), Colour{}, Colour{}};
  for (size_t c = 0; c < 3; ++c) {
    const int a = colours[0][c], b = colours[1][c];
    if (first > second || !alone) {
      colours[2][c] = static_cast<uint8_t>((2 * a + b) / 3);
      colours[3][c] = static_cast<uint8_t>((a + 2 * b) / 3);
    } else {
      colours[2][c] = static_cast<uint8_t>((a + b) / 2);
    }
  }
  for (size_t i = 0; i < 16; ++i) std::memcpy(rgb + 3 * i, colours[indices >> (2 * i) & 3].data(), 3);
}

// Two values and what lies between them, three bits a pixel, into every third byte of out.
void decode_values(const uint8_t* bytes, bool is_signed, uint8_t* out) {
  const int offset = is_signed ? 128 : 0;
  const auto value = [&](uint8_t byte) { return is_signed ? static_cast<int8_t>(byte) + offset : int{byte}; };
  const int a = value(bytes[0]), b = value(bytes[1]);
  std::array<int, 8> values{a, b, 0, 0, 0, 0, 0, 255};
  const int steps = a > b ? 7 : 5;
  for (int i = 1; i < steps; ++i) values[static_cast<size_t>(i) + 1] = ((steps - i) * a + i * b) / steps;
  uint64_t indices = 0;
  for (int i = 0; i < 6; ++i) indices |= uint64_t{bytes[2 + i]} << (8 * i);
  for (size_t i = 0; i < 16; ++i) out[3 * i] = static_cast<uint8_t>(values[indices >> (3 * i) & 7]);
}

}  // namespace

size_t dds_block_bytes(DdsBlock block) { return block == DdsBlock::kBc1 || block == DdsBlock::kBc4 ? 8 : 16; }

void decode_dds_block(DdsBlock block, const uint8_t* bytes, uint8_t* rgb) {
  switch (block) {
    case DdsBlock::kBc1:
      return decode_colours(bytes, true, rgb);
    case DdsBlock::kBc2:
    case DdsBlock::kBc3:
      return decode_colours(bytes + 8, false, rgb);
    case DdsBlock::kBc4:
      decode_values(bytes, false, rgb);
      for (size_t i = 0; i < 16; ++i) rgb[3 * i + 1] = rgb[3 * i + 2] = rgb[3 * i];
      return;
    case DdsBlock::kBc5:
    case DdsBlock::kBc5Signed:
      std::memset(rgb, block == DdsBlock::kBc5 ? 0 : 128, 48);
      decode_values(bytes, block == DdsBlock::kBc5Signed, rgb);
      decode_values(bytes + 8, block == DdsBlock::kBc5Signed, rgb + 1);
      return;
    case DdsBlock::kBc6:
    case DdsBlock::kBc6Signed:
      return decode_bc6_block(bytes, block == DdsBlock::kBc6Signed, rgb);
    case DdsBlock::kBc7:
      return decode_bc7_block(bytes, rgb);
  }
}

}  // namespace vl3::media
