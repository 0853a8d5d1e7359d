// BMP, all of it here, and DIB, which is the same without its first 14 bytes: headers of 12 to 124 bytes, 1
// to 32 bits, bit fields, RLE4 and RLE8. Pillow's choices where the format leaves any, among them that a
// palette of plain greys makes the picture "1" or "L".
#include "media/bmp.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace vl3::media {
namespace {

// Where the header lies in a file of one cursor: only there Pillow takes the fourth byte for alpha.
constexpr uint64_t kOneCursorInfo = 22;
constexpr uint32_t kRaw = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3;

struct Header {
  int64_t width = 0, height = 0;
  uint64_t offset = 0;  // of the pixels
  uint32_t bits = 0, compression = kRaw, colors = 0;
  bool top_down = false;
  std::string mode;
  Palette palette{};
  int red = 2, green = 1, blue = 0;  // bytes of a pixel of 24 or 32 bits
  bool five_six_five = false;
};

// Pillow accepts these layouts of the colours and no others.
void read_masks(const Source& source, const uint32_t* mask, Header* header) {
  struct Layout {
    uint32_t bits, red, green, blue, alpha;
    int red_byte, green_byte, blue_byte;
    bool has_alpha;
  };
  static constexpr Layout kLayouts[] = {
      {32, 0xFF0000, 0xFF00, 0xFF, 0, 2, 1, 0, false},
      {32, 0xFF000000, 0xFF0000, 0xFF00, 0, 3, 2, 1, false},
      {32, 0xFF000000, 0xFF00, 0xFF, 0, 3, 1, 0, false},
      {32, 0xFF000000, 0xFF0000, 0xFF00, 0xFF, 3, 2, 1, true},
      {32, 0xFF, 0xFF00, 0xFF0000, 0xFF000000, 0, 1, 2, true},
      {32, 0xFF0000, 0xFF00, 0xFF, 0xFF000000, 2, 1, 0, true},
      {32, 0xFF000000, 0xFF00, 0xFF, 0xFF0000, 3, 1, 0, true},
      {32, 0, 0, 0, 0, 2, 1, 0, true},
      {24, 0xFF0000, 0xFF00, 0xFF, 0, 2, 1, 0, false},
      {16, 0xF800, 0x7E0, 0x1F, 0, 0, 0, 0, false},
      {16, 0x7C00, 0x3E0, 0x1F, 0, 0, 0, 0, false},
  };
  for (const Layout& layout : kLayouts) {
    if (layout.bits != header->bits || layout.red != mask[0] || layout.green != mask[1] ||
        layout.blue != mask[2] || (layout.bits == 32 && layout.alpha != mask[3]))
      continue;
    header->red = layout.red_byte;
    header->green = layout.green_byte;
    header->blue = layout.blue_byte;
    header->five_six_five = mask[0] == 0xF800;
    if (layout.has_alpha) header->mode = "RGBA";
    return;
  }
  fail(ErrorCode::kUnsupported,
       "[{}] BMP with {} bits and the masks {:#x} {:#x} {:#x} {:#x} is not supported", source.name,
       header->bits, mask[0], mask[1], mask[2], mask[3]);
}

void read_palette(const Source& source, uint64_t at, uint32_t entry_bytes, Header* header) {
  require(header->colors > 0 && header->colors <= 256, ErrorCode::kFormat,
          "[{}] BMP with a palette of {} colours", source.name, header->colors);
  const auto bytes = source.slice(at, uint64_t{entry_bytes} * header->colors, "the palette");
  bool grey = true;
  for (uint32_t i = 0; i < header->colors; ++i) {
    const uint8_t* entry = &bytes[size_t{entry_bytes} * i];
    header->palette[i] = {entry[2], entry[1], entry[0]};
    const uint32_t plain = header->colors == 2 ? 255 * i : i;
    grey = grey && entry[0] == plain && entry[1] == plain && entry[2] == plain;
  }
  header->mode = std::string(!grey ? "P" : header->colors <= 2 ? "1" : "L");
}

Header read_header(const Source& source, uint64_t info_at) {
  const uint32_t header_size = load_le32(source.slice(info_at, 4, "the BMP header").data());
  constexpr uint32_t kSizes[] = {12, 40, 52, 56, 64, 108, 124};
  require(std::ranges::find(kSizes, header_size) != std::end(kSizes), ErrorCode::kUnsupported,
          "[{}] BMP with a header of {} bytes at byte {} is not supported", source.name, header_size,
          info_at);
  const uint8_t* info = source.slice(info_at, header_size, "the BMP header").data();
  Header header;
  uint64_t end = info_at + uint64_t{header_size};
  uint32_t masks[4] = {0, 0, 0, 0};
  if (header_size == 12) {
    header.width = load_le16(info + 4);
    header.height = load_le16(info + 6);
    header.bits = load_le16(info + 10);
  } else {
    header.width = load_le32(info + 4);
    header.top_down = info[11] == 0xFF;
    header.height = header.top_down ? (int64_t{1} << 32) - load_le32(info + 8) : load_le32(info + 8);
    header.bits = load_le16(info + 14);
    header.compression = load_le32(info + 16);
    header.colors = load_le32(info + 32);
    if (header.compression == kBitFields) {
      const bool inside = header_size >= 52;
      const uint8_t* at = inside ? info + 40 : source.slice(end, 12, "the colour masks").data();
      for (int i = 0; i < (header_size >= 56 ? 4 : 3); ++i) masks[i] = load_le32(at + 4 * i);
      if (!inside) end += 12;
    }
  }
  require(header.bits == 1 || header.bits == 4 || header.bits == 8 || header.bits == 16 ||
              header.bits == 24 || header.bits == 32,
          ErrorCode::kUnsupported, "[{}] BMP with {} bits per pixel is not supported", source.name,
          header.bits);
  require(header.compression <= kBitFields, ErrorCode::kUnsupported,
          "[{}] BMP with compression {} is not supported", source.name, header.compression);
  check_size(source, header.width, header.height, 3);
  const uint32_t entry_bytes = header_size == 12 ? 3 : 4;
  if (header.colors == 0 && header.bits <= 8) header.colors = 1u << header.bits;
  if (info_at == kBmpInfo) header.offset = load_le32(source.slice(10, 4, "the BMP header").data());
  if (header.offset == kBmpInfo + uint64_t{header_size} && header.bits <= 8)
    header.offset += uint64_t{entry_bytes} * header.colors;
  header.mode = "RGB";
  if (header.compression == kBitFields) read_masks(source, masks, &header);
  if (header.compression == kRaw && header.bits == 32 && info_at == kOneCursorInfo)
    header.mode = std::string("RGBA");
  if (header.bits <= 8) {
    read_palette(source, end, entry_bytes, &header);
    end += uint64_t{entry_bytes} * header.colors;
  }
  if (header.offset == 0) header.offset = end;
  return header;
}

uint8_t* output_row(Image* image, const Header& header, int64_t row) {
  const int64_t y = header.top_down ? row : header.height - 1 - row;
  return image->rgb.data() + y * header.width * 3;
}

// Indices to RGB. "1" and "L" are the palette's own greys, but a palette of two on 8 bits is read by Pillow
// as packed bits, which decode_raw does before it comes here.
void indices_to_rgb(const uint8_t* indices, const Header& header, uint8_t* rgb) {
  if (header.mode == "P") {
    apply_palette(indices, header.width, header.palette, rgb);
  } else {
    grey_to_rgb(indices, header.width, rgb);
  }
}

void decode_raw(const Source& source, const Header& header, Image* image) {
  // A picture whose palette was found to be plain is read as that mode, with the stride of the real one.
  const uint32_t bits = header.mode == "1" ? 1 : header.mode == "L" ? 8 : header.bits;
  const uint64_t stride = (static_cast<uint64_t>(header.width) * header.bits + 31) / 32 * 4;
  const uint64_t row_bytes = (static_cast<uint64_t>(header.width) * bits + 7) / 8;
  require(row_bytes <= stride, ErrorCode::kUnsupported,
          "[{}] BMP of {} bits whose palette is the greys 0 to {} is not supported", source.name, header.bits,
          header.colors - 1);
  std::vector<uint8_t> indices(header.bits <= 8 ? static_cast<size_t>(header.width) : 0);
  for (int64_t row = 0; row < header.height; ++row) {
    const uint64_t at = header.offset + static_cast<uint64_t>(row) * stride;
    require(at <= source.bytes.size() && row_bytes <= source.bytes.size() - at, ErrorCode::kFormat,
            "[{}] BMP truncated: the file ends at byte {} in row {}", source.name, source.bytes.size(), row);
    const uint8_t* in = &source.bytes[at];
    uint8_t* rgb = output_row(image, header, row);
    if (bits <= 8) {
      if (bits < 8)
        unpack_bits(in, static_cast<int>(bits), header.mode == "1" ? 255 : 1, header.width, indices.data());
      indices_to_rgb(bits < 8 ? indices.data() : in, header, rgb);
    } else if (bits == 16) {
      const int green_bits = header.five_six_five ? 6 : 5;
      const auto widen = [](uint32_t value, int width) {
        return static_cast<uint8_t>(value * 255 / ((1u << width) - 1));
      };
      for (int64_t x = 0; x < header.width; ++x) {
        const uint32_t pixel = load_le16(in + 2 * x);
        rgb[3 * x] = widen(pixel >> (5 + green_bits) & 31, 5);
        rgb[3 * x + 1] = widen(pixel >> 5 & ((1u << green_bits) - 1), green_bits);
        rgb[3 * x + 2] = widen(pixel & 31, 5);
      }
    } else {
      for (int64_t x = 0; x < header.width; ++x) {
        const uint8_t* pixel = in + x * (bits / 8);
        rgb[3 * x] = pixel[header.red];
        rgb[3 * x + 1] = pixel[header.green];
        rgb[3 * x + 2] = pixel[header.blue];
      }
    }
  }
}

// The indices of a run-length coded picture, [height * width] from the bottom row, as far as the file goes.
std::vector<uint8_t> expand_runs(const Source& source, const Header& header) {
  const size_t total = static_cast<size_t>(header.width * header.height),
               width = static_cast<size_t>(header.width);
  const bool rle4 = header.compression == kRle4;
  std::vector<uint8_t> out;
  out.reserve(total);
  const auto bytes = source.bytes;
  size_t at = std::min<size_t>(header.offset, bytes.size()), x = 0;
  const auto index = [&](uint8_t byte, size_t i) {
    return !rle4 ? byte : static_cast<uint8_t>(i % 2 == 0 ? byte >> 4 : byte & 15);
  };
  while (out.size() < total && at + 2 <= bytes.size()) {
    const uint8_t count = bytes[at], value = bytes[at + 1];
    at += 2;
    if (count > 0) {
      const size_t run = std::min({size_t{count}, x < width ? width - x : 0, total - out.size()});
      for (size_t i = 0; i < run; ++i) out.push_back(index(value, i));
      x += run;
    } else if (value == 0) {  // end of the line
      out.resize((out.size() + width - 1) / width * width);
      x = 0;
    } else if (value == 1) {  // end of the picture
      break;
    } else if (value == 2) {  // skip right and up
      if (at + 2 > bytes.size()) break;
      out.resize(std::min(total, out.size() + bytes[at] + bytes[at + 1] * width));
      at += 2;
      x = out.size() % width;
    } else {  // that many indices as they are, padded to two bytes
      const size_t pixels = std::min<size_t>(total - out.size(), value);
      const size_t stored = rle4 ? (pixels + 1) / 2 : pixels;
      const size_t have = std::min(stored, bytes.size() - at);
      for (size_t i = 0; i < pixels && (rle4 ? i / 2 : i) < have; ++i)
        out.push_back(index(bytes[at + (rle4 ? i / 2 : i)], i));
      at += have;
      if (have < stored) break;
      x += value;
      at += at % 2;
    }
  }
  require(out.size() >= total, ErrorCode::kFormat,
          "[{}] BMP truncated: the runs end at byte {} in row {} of {}", source.name, at, out.size() / width,
          header.height);
  return out;
}

void decode_runs(const Source& source, const Header& header, Image* image) {
  require(header.bits <= 8, ErrorCode::kUnsupported,
          "[{}] BMP with runs of {} bits per pixel is not supported", source.name, header.bits);
  const std::vector<uint8_t> indices = expand_runs(source, header);
  for (int64_t row = 0; row < header.height; ++row)
    indices_to_rgb(&indices[static_cast<size_t>(row * header.width)], header, output_row(image, header, row));
}

}  // namespace

BmpBody read_bmp_body(const Source& source, uint64_t info_at, bool half) {
  const Header header = read_header(source, info_at);
  return {header.width, half ? header.height / 2 : header.height, header.offset, header.mode};
}

void decode_bmp_body(const Source& source, uint64_t info_at, bool half, Image* image) {
  Header header = read_header(source, info_at);
  if (half) header.height /= 2;
  const bool runs = header.compression == kRle8 || header.compression == kRle4;
  if (!runs) {  // the whole of it is there, or nothing is allocated for it
    const uint64_t stride = (static_cast<uint64_t>(header.width) * header.bits + 31) / 32 * 4;
    const uint64_t last_row =
        static_cast<uint64_t>(header.width) * (header.mode == "1" ? 1 : header.bits) / 8;
    check_size(source, header.width, header.height, 3);
    source.slice(header.offset, stride * static_cast<uint64_t>(header.height - 1) + last_row, "the pixels");
  }
  *image = new_image(source, header.width, header.height, header.mode);
  if (runs) {
    decode_runs(source, header, image);
  } else {
    decode_raw(source, header, image);
  }
}

namespace {

ImageInfo probe(const Source& source, uint64_t info_at) {
  const BmpBody body = read_bmp_body(source, info_at, false);
  ImageInfo info;
  info.width = body.width;
  info.height = body.height;
  info.mode = body.mode;
  return info;
}

}  // namespace

ImageInfo probe_bmp(const Source& source) { return probe(source, kBmpInfo); }
void decode_bmp(const Source& source, Image* image) { decode_bmp_body(source, kBmpInfo, false, image); }
ImageInfo probe_dib(const Source& source) { return probe(source, 0); }
void decode_dib(const Source& source, Image* image) { decode_bmp_body(source, 0, false, image); }

}  // namespace vl3::media
