// PCX, all of it here, in the forms that Pillow reads: 1 bit, 2 or 4 planes of a bit, 8 bits and 3 planes
// of 8.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "media/image_codec.h"

namespace vl3::media {
namespace {

constexpr uint64_t kHeaderBytes = 128, kPaletteBytes = 769;

struct Header {
  int64_t width = 0, height = 0;
  int bits = 0, planes = 0;
  size_t row_bytes = 0;  // of all planes
  std::string_view mode;
  Palette palette{};
};

// The palette at the end of a file of 8 bits, unless it is missing or grey.
void read_last_palette(const Source& source, Header* header) {
  header->mode = "L";
  require(source.bytes.size() >= kPaletteBytes, ErrorCode::kFormat,
          "[{}] is cut off: a PCX of 256 colours ends with a palette of {} bytes, and the file has {}",
          source.name, kPaletteBytes, source.bytes.size());
  const uint8_t* palette = &source.bytes[source.bytes.size() - kPaletteBytes];
  if (palette[0] != 12) return;
  bool grey = true;
  for (size_t i = 0; i < 256; ++i) {
    std::memcpy(header->palette[i].data(), palette + 1 + 3 * i, 3);
    for (const uint8_t value : header->palette[i]) grey = grey && value == i;
  }
  if (!grey) header->mode = "P";
}

Header read_header(const Source& source) {
  const uint8_t* bytes = source.slice(0, kHeaderBytes, "the PCX header").data();
  Header header;
  header.width = int64_t{load_le16(bytes + 8)} + 1 - load_le16(bytes + 4);
  header.height = int64_t{load_le16(bytes + 10)} + 1 - load_le16(bytes + 6);
  check_size(source, header.width, header.height, 3);
  const int version = bytes[1];
  header.bits = bytes[3];
  header.planes = bytes[65];
  if (header.bits == 1 && header.planes == 1) {
    header.mode = "1";
  } else if (header.bits == 1 && (header.planes == 2 || header.planes == 4)) {
    header.mode = "P";
    for (size_t i = 0; i < 16; ++i) std::memcpy(header.palette[i].data(), bytes + 16 + 3 * i, 3);
  } else if (version == 5 && header.bits == 8 && header.planes == 1) {
    read_last_palette(source, &header);
  } else if (version == 5 && header.bits == 8 && header.planes == 3) {
    header.mode = "RGB";
  } else {
    fail(ErrorCode::kUnsupported, "[{}] PCX of version {} with {} planes of {} bits is not supported",
         source.name, version, header.planes, header.bits);
  }
  // A row's bytes are even, except where the header has just the odd number that the width gives.
  size_t stride = (static_cast<size_t>(header.width) * static_cast<size_t>(header.bits) + 7) / 8;
  if (load_le16(bytes + 66) != stride) stride += stride % 2;
  header.row_bytes = stride * static_cast<size_t>(header.planes);
  return header;
}

// Undoes the runs of a row; at is where the next one begins.
void read_row(const Source& source, int64_t y, uint64_t* at, std::vector<uint8_t>* row) {
  for (size_t x = 0; x < row->size();) {
    const uint8_t first = source.slice(*at, 1, "the pixels")[0];
    ++*at;
    if (first < 0xC0) {
      (*row)[x++] = first;
      continue;
    }
    const size_t count = first & 63;
    const uint8_t value = source.slice(*at, 1, "the pixels")[0];
    ++*at;
    require(count <= row->size() - x, ErrorCode::kFormat,
            "[{}] broken PCX: a run before byte {} leaves row {}", source.name, *at, y);
    std::fill_n(row->begin() + static_cast<ptrdiff_t>(x), count, value);
    x += count;
  }
}

void put_planes_of_bits(const std::vector<uint8_t>& row, const Header& header, uint8_t* rgb) {
  const size_t stride = row.size() / static_cast<size_t>(header.planes);
  for (int64_t x = 0; x < header.width; ++x) {
    size_t index = 0;
    for (int plane = 0; plane < header.planes; ++plane) {
      const uint8_t byte = row[static_cast<size_t>(plane) * stride + static_cast<size_t>(x / 8)];
      index |= static_cast<size_t>(byte >> (7 - x % 8) & 1) << plane;
    }
    std::memcpy(rgb + 3 * x, header.palette[index].data(), 3);
  }
}

void put_colours(const std::vector<uint8_t>& row, const Header& header, uint8_t* rgb) {
  const size_t width = static_cast<size_t>(header.width), stride = row.size() / 3;
  for (size_t x = 0; x < width; ++x)
    for (size_t c = 0; c < 3; ++c) rgb[3 * x + c] = row[c * stride + x];
}

}  // namespace

ImageInfo probe_pcx(const Source& source) {
  const Header header = read_header(source);
  ImageInfo info;
  info.width = header.width;
  info.height = header.height;
  info.mode = std::string(header.mode);
  return info;
}

void decode_pcx(const Source& source, Image* image) {
  const Header header = read_header(source);
  // A byte and its count make 63 at most: nothing is allocated for more than the file can hold.
  source.slice(kHeaderBytes, header.row_bytes * static_cast<uint64_t>(header.height) / 32, "the pixels");
  *image = new_image(source, header.width, header.height, std::string(header.mode));
  std::vector<uint8_t> row(header.row_bytes),
      bits(header.mode == "1" ? static_cast<size_t>(header.width) : 0);
  uint64_t at = kHeaderBytes;
  for (int64_t y = 0; y < header.height; ++y) {
    read_row(source, y, &at, &row);
    uint8_t* rgb = &image->rgb[static_cast<size_t>(y * header.width * 3)];
    if (header.mode == "1") {
      unpack_bits(row.data(), 1, 255, header.width, bits.data());
      grey_to_rgb(bits.data(), header.width, rgb);
    } else if (header.mode == "RGB") {
      put_colours(row, header, rgb);
    } else if (header.bits == 1) {
      put_planes_of_bits(row, header, rgb);
    } else if (header.mode == "P") {
      apply_palette(row.data(), header.width, header.palette, rgb);
    } else {
      grey_to_rgb(row.data(), header.width, rgb);
    }
    if ((y + 1) % Source::kReadyRows == 0) source.rows_ready(y + 1);
  }
}

}  // namespace vl3::media
