// Icons and cursors: a folder of bitmaps or PNGs in a file, of which Pillow shows the largest.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "media/bmp.h"
#include "media/image_codec.h"

namespace vl3::media {
namespace {

constexpr uint64_t kEntryBytes = 16;

struct Entry {
  int64_t width = 0, height = 0;  // as the folder has it
  uint32_t colours = 0, bits = 0;
  uint64_t size = 0, offset = 0;

  int64_t area() const { return width * height; }
  // Where the bits are missing they follow from the number of colours.
  int64_t depth() const {
    if (bits != 0) return bits;
    const auto implied = colours != 0 ? static_cast<int64_t>(std::ceil(std::log2(colours))) : 0;
    return implied != 0 ? implied : 256;
  }
};

std::vector<Entry> read_entries(const Source& source) {
  const uint32_t count = load_le16(source.slice(0, 6, "the icon's header").data() + 4);
  require(count > 0, ErrorCode::kFormat, "[{}] an icon file without an icon", source.name);
  const auto bytes = source.slice(6, kEntryBytes * count, "the folder of icons");
  std::vector<Entry> entries(count);
  for (uint32_t i = 0; i < count; ++i) {
    const uint8_t* in = &bytes[kEntryBytes * i];
    entries[i] = {in[0], in[1], in[2], load_le16(in + 6), load_le32(in + 8), load_le32(in + 12)};
  }
  return entries;
}

// The largest; of several, the one of the fewest bits, and then the first, as Pillow sorts them.
Entry choose_icon(const Source& source) {
  std::vector<Entry> entries = read_entries(source);
  for (Entry& entry : entries) {
    if (entry.width == 0) entry.width = 256;
    if (entry.height == 0) entry.height = 256;
  }
  const auto largest = [](const Entry& a, const Entry& b) {
    return a.area() != b.area() ? a.area() < b.area() : a.depth() > b.depth();
  };
  return *std::ranges::max_element(entries, largest);
}

// The first that no later one is wider and higher than; 256 is written as 0, and is taken for that by Pillow.
Entry choose_cursor(const Source& source) {
  const std::vector<Entry> entries = read_entries(source);
  Entry chosen = entries[0];
  for (const Entry& entry : entries)
    if (entry.width > chosen.width && entry.height > chosen.height) chosen = entry;
  return chosen;
}

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

// The PNG that an icon is, or nothing where it is a bitmap.
std::span<const uint8_t> png_of(const Source& source, const Entry& icon) {
  const auto head = source.slice(icon.offset, kPngSignature.size(), "the icon");
  if (std::memcmp(head.data(), kPngSignature.data(), kPngSignature.size()) != 0) return {};
  return source.bytes.subspan(icon.offset);
}

// Alpha is dropped from a picture, but an icon whose alpha or mask is cut off is cut off.
void check_mask(const Source& source, const Entry& icon, const BmpBody& body) {
  const auto width = static_cast<uint64_t>(body.width), height = static_cast<uint64_t>(body.height);
  if (icon.bits == 32) {
    source.slice(body.offset, width * height * 4, "the icon's alpha");
    return;
  }
  const uint64_t mask = (width + 31) / 32 * 4 * height;
  require(mask <= icon.offset + icon.size, ErrorCode::kFormat,
          "[{}] broken icon: {} bytes at byte {} hold no mask", source.name, icon.size, icon.offset);
  source.slice(icon.offset + icon.size - mask, mask, "the icon's mask");
}

}  // namespace

ImageInfo probe_ico(const Source& source) {
  const Entry icon = choose_icon(source);
  if (const auto png = png_of(source, icon); !png.empty()) {
    ImageInfo info = probe_png({png, source.limits, source.name});
    info.orientation = 1;  // Pillow leaves an icon's metadata alone
    return info;
  }
  const BmpBody body = read_bmp_body(source, icon.offset, true);
  ImageInfo info;
  info.width = body.width;
  info.height = body.height;
  info.mode = std::string("RGBA");
  check_size(source, info.width, info.height, 3);
  return info;
}

void decode_ico(const Source& source, Image* image) {
  const Entry icon = choose_icon(source);
  if (const auto png = png_of(source, icon); !png.empty())
    return decode_png({png, source.limits, source.name}, image);
  check_mask(source, icon, read_bmp_body(source, icon.offset, true));
  decode_bmp_body(source, icon.offset, true, image);
  image->mode = std::string("RGBA");
}

ImageInfo probe_cur(const Source& source) {
  const BmpBody body = read_bmp_body(source, choose_cursor(source).offset, true);
  ImageInfo info;
  info.width = body.width;
  info.height = body.height;
  info.mode = body.mode == "1" || body.mode == "L" ? std::string("LA") : body.mode;
  check_size(source, info.width, info.height, 3);
  return info;
}

void decode_cur(const Source& source, Image* image) {
  const uint64_t at = choose_cursor(source).offset;
  const BmpBody body = read_bmp_body(source, at, true);
  if (body.mode != "1" && body.mode != "L") return decode_bmp_body(source, at, true, image);
  // A grey cursor is two pictures, one above the other: where the upper one, the mask, is white nothing is
  // shown.
  Image both;
  decode_bmp_body(source, at, false, &both);
  *image = new_image(source, body.width, body.height, "LA");
  const size_t bytes = image->rgb.size();
  for (size_t i = 0; i < bytes; ++i) {
    const int shown = 255 - both.rgb[i], value = shown * both.rgb[bytes + i] + 128;
    image->rgb[i] = static_cast<uint8_t>(((value >> 8) + value) >> 8);
  }
}

}  // namespace vl3::media
