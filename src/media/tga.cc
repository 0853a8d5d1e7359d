// TGA, all of it here. The format has no signature: looks_like_tga decides by the header's fields together.
#include <algorithm>
#include <cstring>
#include <vector>

#include "media/image_codec.h"

namespace vl3::media {
namespace {

constexpr uint64_t kHeaderBytes = 18;

struct Header {
  int64_t width = 0, height = 0;
  int kind = 0;   // 1 palette, 2 colours, 3 grey
  int depth = 0;  // bits of a pixel
  bool runs = false, top_down = false, right_to_left = false;
  uint64_t offset = 0;  // of the pixels
  const char* mode = "";
  Palette palette{};
};

// Five bits each, as Pillow widens them.
void put_15_bits(uint32_t pixel, uint8_t* rgb) {
  for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>((pixel >> (10 - 5 * c) & 31) * 255 / 31);
}

// Returns the bytes that the map takes in the file.
uint64_t read_palette(const Source& source, uint64_t at, Header* header) {
  const uint8_t* bytes = source.bytes.data();
  const uint32_t first = load_le16(bytes + 3), count = load_le16(bytes + 5), depth = bytes[7];
  require(depth == 16 || depth == 24 || depth == 32, ErrorCode::kUnsupported,
          "[{}] TGA with a palette of {} bits is not supported", source.name, depth);
  const uint64_t size = uint64_t{count} * (depth / 8);
  const auto map = source.slice(at, size, "the palette");
  if (header->kind != 1) return size;
  require(first + count <= 256, ErrorCode::kUnsupported,
          "[{}] TGA with a palette of {} colours is not supported", source.name, first + count);
  for (uint32_t i = 0; i < count; ++i) {
    const uint8_t* entry = &map[size_t{i} * (depth / 8)];
    auto& colour = header->palette[first + i];
    if (depth == 16) {
      put_15_bits(load_le16(entry), colour.data());
    } else {
      colour = {entry[2], entry[1], entry[0]};
    }
  }
  return size;
}

Header read_header(const Source& source) {
  const uint8_t* bytes = source.slice(0, kHeaderBytes, "the TGA header").data();
  Header header;
  header.width = load_le16(bytes + 12);
  header.height = load_le16(bytes + 14);
  check_size(source, header.width, header.height, 3);
  header.kind = bytes[2] & 7;
  header.runs = (bytes[2] & 8) != 0;
  header.depth = bytes[16];
  header.right_to_left = (bytes[17] & 0x10) != 0;
  header.top_down = (bytes[17] & 0x20) != 0;
  const int depth = header.depth;
  const bool known = header.kind == 1   ? depth == 8 && bytes[1] == 1
                     : header.kind == 2 ? depth == 16 || depth == 24 || depth == 32
                                        : depth == 8 || depth == 16 || (depth == 1 && !header.runs);
  require(known, ErrorCode::kUnsupported, "[{}] TGA of type {} with {} bits and map {} is not supported",
          source.name, bytes[2], depth, bytes[1]);
  header.mode = header.kind == 1   ? "P"
                : header.kind == 2 ? (depth == 24 ? "RGB" : "RGBA")
                                   : (depth == 1   ? "1"
                                      : depth == 8 ? "L"
                                                   : "LA");
  header.offset = kHeaderBytes + bytes[0];
  if (bytes[1] == 1) header.offset += read_palette(source, header.offset, &header);
  return header;
}

// Undoes the runs, which may go on from row to row. at is where the next packet begins.
class Runs {
 public:
  Runs(const Source& source, uint64_t at, size_t bytes) : source_(source), at_(at), bytes_(bytes) {}

  void read(size_t count, uint8_t* out) {
    for (size_t i = 0; i < count; ++i, out += bytes_) {
      if (left_ == 0) {
        const uint8_t head = source_.slice(at_++, 1, "the pixels")[0];
        left_ = (head & 127) + 1u;
        repeated_ = (head & 128) != 0;
        pixel_ = source_.slice(at_, bytes_, "the pixels").data();
        at_ += bytes_;
      } else if (!repeated_) {
        pixel_ = source_.slice(at_, bytes_, "the pixels").data();
        at_ += bytes_;
      }
      std::memcpy(out, pixel_, bytes_);
      --left_;
    }
  }

 private:
  const Source& source_;
  uint64_t at_;
  size_t bytes_;
  size_t left_ = 0;
  bool repeated_ = false;
  const uint8_t* pixel_ = nullptr;
};

void put_row(const uint8_t* in, const Header& header, uint8_t* grey, uint8_t* rgb) {
  const int64_t width = header.width;
  if (header.kind == 1) return apply_palette(in, width, header.palette, rgb);
  if (header.kind == 2) {
    for (int64_t x = 0; x < width; ++x) {
      const uint8_t* pixel = in + x * (header.depth / 8);
      if (header.depth == 16) {
        put_15_bits(load_le16(pixel), rgb + 3 * x);
      } else {
        for (int c = 0; c < 3; ++c) rgb[3 * x + c] = pixel[2 - c];
      }
    }
    return;
  }
  if (header.depth == 1) {
    unpack_bits(in, 1, 255, width, grey);
  } else {
    for (int64_t x = 0; x < width; ++x) grey[x] = in[x * (header.depth / 8)];
  }
  grey_to_rgb(grey, width, rgb);
}

void mirror(int64_t width, uint8_t* rgb) {
  for (int64_t a = 0, b = width - 1; a < b; ++a, --b)
    std::swap_ranges(rgb + 3 * a, rgb + 3 * a + 3, rgb + 3 * b);
}

}  // namespace

bool looks_like_tga(std::span<const uint8_t> bytes) {
  if (bytes.size() < kHeaderBytes || bytes[1] > 1) return false;
  const int kind = bytes[2] & 7, depth = bytes[16];
  if ((bytes[2] & ~8) == 0 || (bytes[2] & ~8) > 3 || (bytes[17] & 0xC0) != 0) return false;
  if ((bytes[17] & 15) > 8 || (kind == 1) != (bytes[1] == 1 && depth == 8 && kind == 1)) return false;
  if (bytes[1] == 1 && bytes[7] != 15 && bytes[7] != 16 && bytes[7] != 24 && bytes[7] != 32) return false;
  const bool known =
      kind == 2 ? depth == 16 || depth == 24 || depth == 32 : depth == 1 || depth == 8 || depth == 16;
  return known && load_le16(&bytes[12]) > 0 && load_le16(&bytes[14]) > 0;
}

ImageInfo probe_tga(const Source& source) {
  const Header header = read_header(source);
  return info_of(header.width, header.height, header.mode);
}

void decode_tga(const Source& source, Image* image) {
  const Header header = read_header(source);
  const auto width = static_cast<size_t>(header.width);
  const size_t stride = (width * static_cast<size_t>(header.depth) + 7) / 8;
  const auto height = static_cast<uint64_t>(header.height);
  // Nothing is allocated for pixels that the file cannot hold: a run has a byte of its own and 128 pixels at
  // most.
  source.slice(header.offset, header.runs ? width * height / 128 : stride * height, "the pixels");
  *image = new_image(source, header.width, header.height, header.mode);
  Runs runs(source, header.offset, static_cast<size_t>(std::max(header.depth / 8, 1)));
  std::vector<uint8_t> row(header.runs ? stride : 0), grey(header.kind == 3 ? width : 0);
  for (int64_t y = 0; y < header.height; ++y) {
    if (header.runs) runs.read(width, row.data());
    const uint8_t* in =
        header.runs ? row.data() : &source.bytes[header.offset + static_cast<uint64_t>(y) * stride];
    const int64_t to = header.top_down ? y : header.height - 1 - y;
    uint8_t* rgb = &image->rgb[static_cast<size_t>(to * header.width * 3)];
    put_row(in, header, grey.data(), rgb);
    if (header.right_to_left) mirror(header.width, rgb);
  }
}

}  // namespace vl3::media
