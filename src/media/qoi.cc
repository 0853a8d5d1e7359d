// QOI, all of it here: the format is a page long.
#include <array>
#include <cstring>

#include "media/image_codec.h"

namespace vl3::media {
namespace {

constexpr uint64_t kHeaderBytes = 14;

ImageInfo read_header(const Source& source) {
  const uint8_t* header = source.slice(0, kHeaderBytes, "the QOI header").data();
  ImageInfo info;
  info.width = load_be32(header + 4);
  info.height = load_be32(header + 8);
  info.mode = std::string(header[12] == 3 ? "RGB" : "RGBA");
  check_size(source, info.width, info.height, 3);
  return info;
}

using Pixel = std::array<uint8_t, 4>;

class Reader {
 public:
  explicit Reader(const Source& source) : source_(source) {}

  // The next pixel, and how many of it there are.
  int64_t next(Pixel* pixel) {
    const uint8_t op = take(1)[0];
    if (op >= 0xC0 && op < 0xFE) {  // a run, which alone leaves the table of seen pixels as it is
      *pixel = last_;
      return (op & 63) + 1;
    }
    if (op == 0xFE) {
      std::memcpy(last_.data(), take(3), 3);
    } else if (op == 0xFF) {
      std::memcpy(last_.data(), take(4), 4);
    } else if (op < 0x40) {
      last_ = seen_[op];
    } else if (op < 0x80) {
      add((op >> 4 & 3) - 2, (op >> 2 & 3) - 2, (op & 3) - 2);
    } else {
      const int green = (op & 63) - 32;
      const uint8_t second = take(1)[0];
      add(green + (second >> 4) - 8, green, green + (second & 15) - 8);
    }
    seen_[static_cast<size_t>(last_[0] * 3 + last_[1] * 5 + last_[2] * 7 + last_[3] * 11) % 64] = last_;
    *pixel = last_;
    return 1;
  }

 private:
  const uint8_t* take(uint64_t count) {
    const uint8_t* bytes = source_.slice(at_, count, "the pixels").data();
    at_ += count;
    return bytes;
  }
  void add(int red, int green, int blue) {
    last_[0] = static_cast<uint8_t>(last_[0] + red);
    last_[1] = static_cast<uint8_t>(last_[1] + green);
    last_[2] = static_cast<uint8_t>(last_[2] + blue);
  }

  const Source& source_;
  uint64_t at_ = kHeaderBytes;
  Pixel last_{0, 0, 0, 255};
  std::array<Pixel, 64> seen_{};
};

}  // namespace

ImageInfo probe_qoi(const Source& source) { return read_header(source); }

void decode_qoi(const Source& source, Image* image) {
  const ImageInfo info = read_header(source);
  const int64_t pixels = info.width * info.height;
  constexpr int64_t kLongestRun =
      62;  // pixels of one byte: nothing is allocated for more than the file can hold
  source.slice(kHeaderBytes, static_cast<uint64_t>((pixels + kLongestRun - 1) / kLongestRun), "the pixels");
  *image = new_image(source, info.width, info.height, info.mode);
  Reader reader(source);
  for (int64_t at = 0; at < pixels;) {
    Pixel pixel;
    const int64_t end = std::min(pixels, at + reader.next(&pixel));
    for (; at < end; ++at) std::memcpy(&image->rgb[static_cast<size_t>(3 * at)], pixel.data(), 3);
  }
}

}  // namespace vl3::media
