#include "media/exif.h"

#include <algorithm>
#include <cstring>

#include "media/image_codec.h"

namespace vl3::media {
namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kByte = 1, kShort = 3, kLong = 4;

}  // namespace

int exif_orientation(std::span<const uint8_t> block) {
  constexpr std::string_view kPrefix("Exif\0\0", 6);
  while (block.size() >= kPrefix.size() && std::memcmp(block.data(), kPrefix.data(), kPrefix.size()) == 0)
    block = block.subspan(kPrefix.size());
  if (block.size() < 8) return 0;
  const bool big = block[0] == 'M' && block[1] == 'M';
  if (!big && !(block[0] == 'I' && block[1] == 'I')) return 0;
  const auto load16 = [&](size_t at) { return big ? load_be16(&block[at]) : load_le16(&block[at]); };
  const auto load32 = [&](size_t at) { return big ? load_be32(&block[at]) : load_le32(&block[at]); };
  const size_t directory = load32(4);
  if (directory > block.size() - 2) return 0;
  const size_t entries = load16(directory);
  for (size_t i = 0; i < entries; ++i) {
    const size_t at = directory + 2 + 12 * i;
    if (at + 12 > block.size()) return 0;
    if (load16(at) != kOrientationTag) continue;
    const uint32_t type = load16(at + 2);
    if (load32(at + 4) != 1) return 1;
    const uint32_t value = type == kShort  ? load16(at + 8)
                           : type == kLong ? load32(at + 8)
                           : type == kByte ? block[at + 8]
                                           : 1;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 0;
}

int xmp_orientation(std::span<const uint8_t> packet) {
  const std::string_view text(reinterpret_cast<const char*>(packet.data()), packet.size());
  constexpr std::string_view kName = "tiff:Orientation";
  for (size_t at = text.find(kName); at != std::string_view::npos; at = text.find(kName, at + 1)) {
    std::string_view rest = text.substr(at + kName.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with(">")) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (rest.empty() || rest[0] < '0' || rest[0] > '9') continue;
    return rest[0] >= '1' && rest[0] <= '8' ? rest[0] - '0' : 1;
  }
  return 0;
}

int choose_orientation(int exif, int xmp) { return exif != 0 ? exif : xmp != 0 ? xmp : 1; }

Image orient(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool swapped = orientation >= 5;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image turned;
  turned.mode = std::move(image.mode);
  turned.width = swapped ? image.height : image.width;
  turned.height = swapped ? image.width : image.height;
  turned.rgb.resize(image.rgb.size());
  // flip_x and flip_y are of the picture as stored, before width and height change places.
  uint8_t* out = turned.rgb.data();
  for (int64_t y = 0; y < turned.height; ++y) {
    for (int64_t x = 0; x < turned.width; ++x, out += 3) {
      int64_t from_x = swapped ? y : x, from_y = swapped ? x : y;
      if (flip_x) from_x = image.width - 1 - from_x;
      if (flip_y) from_y = image.height - 1 - from_y;
      std::memcpy(out, &image.rgb[static_cast<size_t>((from_y * image.width + from_x) * 3)], 3);
    }
  }
  return turned;
}

}  // namespace vl3::media
