// SGI (.rgb, .bw), all of it here: 1, 3 or 4 planes of 8 or 16 bits, stored as they are or in runs. Of 16
// bits the high byte counts, as in Pillow.
#include <algorithm>
#include <vector>

#include "media/image_codec.h"

namespace vl3::media {
namespace {

constexpr uint64_t kHeaderBytes = 512;

struct Header {
  int64_t width = 0, height = 0, planes = 0;
  uint64_t bytes = 1;  // of a sample
  bool runs = false;
  const char* mode = "";
};

Header read_header(const Source& source) {
  const uint8_t* bytes = source.slice(0, kHeaderBytes, "the SGI header").data();
  Header header;
  header.bytes = bytes[3];
  header.width = load_be16(bytes + 6);
  header.height = load_be16(bytes + 8);
  header.planes = load_be16(bytes + 10);
  const uint32_t dimension = load_be16(bytes + 4);
  const bool grey = header.planes == 1 && (dimension == 1 || dimension == 2);
  require((header.bytes == 1 || header.bytes == 2) &&
              (grey || (dimension == 3 && (header.planes == 3 || header.planes == 4))),
          ErrorCode::kUnsupported,
          "[{}] SGI with {} bytes a sample, {} dimensions and {} planes is not supported", source.name,
          header.bytes, dimension, header.planes);
  require(bytes[2] <= 1, ErrorCode::kUnsupported, "[{}] SGI with compression {} is not supported",
          source.name, bytes[2]);
  header.runs = bytes[2] == 1;
  header.mode = grey ? "L" : header.planes == 3 ? "RGB" : "RGBA";
  check_size(source, header.width, header.height, 3);
  return header;
}

// One row of one plane, which the two tables behind the header point to. Words of the sample's size: a count
// in seven bits, with the eighth set for so many samples as they are, else for one that is repeated; 0 ends
// the row.
void read_runs(const Source& source, const Header& header, int64_t row, std::vector<uint8_t>* out) {
  const uint64_t rows = static_cast<uint64_t>(header.height * header.planes);
  const auto table = [&](uint64_t index) {
    return load_be32(source.slice(kHeaderBytes + 4 * index, 4, "the table of rows").data());
  };
  const uint64_t start = table(static_cast<uint64_t>(row)), size = table(rows + static_cast<uint64_t>(row));
  const auto in = source.slice(start, size, "a row");
  const auto take = [&](uint64_t at, bool low) {  // a count is in the low byte, a sample in the high one
    require(at + header.bytes <= in.size(), ErrorCode::kFormat,
            "[{}] broken SGI: row {} ends early at byte {}", source.name, row, start + in.size());
    return in[at + (low ? header.bytes - 1 : 0)];
  };
  size_t x = 0;
  for (uint64_t at = 0; at + header.bytes <= in.size();) {
    const uint8_t word = take(at, true);
    at += header.bytes;
    const size_t count = word & 127;
    if (count == 0) break;
    require(count <= out->size() - x, ErrorCode::kFormat, "[{}] broken SGI: a run at byte {} leaves row {}",
            source.name, start + at, row);
    for (size_t i = 0; i < count; ++i) {
      (*out)[x++] = take(at, false);
      if ((word & 128) != 0 || i + 1 == count) at += header.bytes;
    }
  }
  require(x == out->size(), ErrorCode::kFormat, "[{}] broken SGI: row {} has {} of {} samples", source.name,
          row, x, out->size());
}

}  // namespace

ImageInfo probe_sgi(const Source& source) {
  const Header header = read_header(source);
  return info_of(header.width, header.height, header.mode);
}

void decode_sgi(const Source& source, Image* image) {
  const Header header = read_header(source);
  const auto width = static_cast<uint64_t>(header.width);
  const uint64_t rows = static_cast<uint64_t>(header.height * header.planes);
  source.slice(kHeaderBytes, rows * (header.runs ? 8 : width * header.bytes), "the rows");
  *image = new_image(source, header.width, header.height, header.mode);
  std::vector<uint8_t> row(width);
  for (int64_t plane = 0; plane < std::min<int64_t>(header.planes, 3); ++plane) {
    for (int64_t y = 0; y < header.height; ++y) {
      const int64_t index = plane * header.height + y;
      if (header.runs) {
        read_runs(source, header, index, &row);
      } else {
        const uint8_t* in = &source.bytes[kHeaderBytes + static_cast<uint64_t>(index) * width * header.bytes];
        for (uint64_t x = 0; x < width; ++x) row[x] = in[x * header.bytes];
      }
      uint8_t* rgb = &image->rgb[static_cast<size_t>((header.height - 1 - y) * header.width * 3)];
      for (uint64_t x = 0; x < width; ++x) {
        if (header.planes > 1) {
          rgb[3 * x + static_cast<uint64_t>(plane)] = row[x];
        } else {
          rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] = row[x];
        }
      }
    }
  }
}

}  // namespace vl3::media
