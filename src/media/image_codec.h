#pragma once
// What the decoders share: the bytes with their name and limits, checks, and the ways Pillow turns other
// forms into RGB.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "vl3/image.h"

namespace vl3::media {

struct Source {
  std::span<const uint8_t> bytes;
  const MediaLimits& limits;
  std::string_view name;
  const RowsReady* ready = nullptr;

  // For codecs that make rows from the top: so many are there. Told at every kReadyRows of them or so.
  static constexpr int64_t kReadyRows = 32;
  void rows_ready(int64_t rows) const {
    if (ready != nullptr) (*ready)(rows);
  }

  // The bytes [offset, offset + count), or kFormat naming what was cut off.
  std::span<const uint8_t> slice(uint64_t offset, uint64_t count, const char* what) const;
};

// Throws kFormat for zero sizes, kLimitExceeded above max_pixels or where bytes_per_pixel x pixels is above
// max_allocation_bytes. Called with a header's sizes before anything is allocated for them.
void check_size(const Source& source, int64_t width, int64_t height, int64_t bytes_per_pixel);
void check_allocation(const Source& source, int64_t bytes, const char* what);

// What a probe tells of a picture that lies as it is stored.
inline ImageInfo info_of(int64_t width, int64_t height, std::string mode) {
  ImageInfo info;
  info.width = width;
  info.height = height;
  info.mode = std::move(mode);
  return info;
}

// An image of zeros (black), after check_size.
Image new_image(const Source& source, int64_t width, int64_t height, std::string mode);

inline uint32_t load_le16(const uint8_t* p) { return p[0] | uint32_t{p[1]} << 8; }
inline uint32_t load_le32(const uint8_t* p) { return load_le16(p) | load_le16(p + 2) << 16; }
inline uint32_t load_be16(const uint8_t* p) { return uint32_t{p[0]} << 8 | p[1]; }
inline uint32_t load_be32(const uint8_t* p) { return load_be16(p) << 16 | load_be16(p + 2); }

// One pixel of Pillow's CMYK -> RGB: v = (255 - k) - (255 - k) * c / 255, the quotient rounded.
inline void cmyk_to_rgb(const uint8_t* cmyk, uint8_t* rgb) {
  const int key = 255 - cmyk[3];
  for (int channel = 0; channel < 3; ++channel) {
    const int product = cmyk[channel] * key + 128;
    rgb[channel] = static_cast<uint8_t>(key - (((product >> 8) + product) >> 8));
  }
}

// Samples of 1, 2 or 4 bits, most significant first, one byte each; scale multiplies them (1 for indices).
void unpack_bits(const uint8_t* packed, int bits, int scale, int64_t count, uint8_t* out);

// 256 colours; those that a file leaves out are black.
using Palette = std::array<std::array<uint8_t, 3>, 256>;
void apply_palette(const uint8_t* indices, int64_t count, const Palette& palette, uint8_t* rgb);
void grey_to_rgb(const uint8_t* grey, int64_t count, uint8_t* rgb);

ImageInfo probe_png(const Source& source);
ImageInfo probe_jpeg(const Source& source);
ImageInfo probe_webp(const Source& source);
ImageInfo probe_gif(const Source& source);
ImageInfo probe_bmp(const Source& source);
ImageInfo probe_tiff(const Source& source);
ImageInfo probe_avif(const Source& source);
ImageInfo probe_heif(const Source& source);
ImageInfo probe_jxl(const Source& source);
ImageInfo probe_jpeg2000(const Source& source);
ImageInfo probe_pnm(const Source& source);
ImageInfo probe_ico(const Source& source);
ImageInfo probe_cur(const Source& source);
ImageInfo probe_tga(const Source& source);
ImageInfo probe_qoi(const Source& source);
ImageInfo probe_dib(const Source& source);
ImageInfo probe_pcx(const Source& source);
ImageInfo probe_sgi(const Source& source);
ImageInfo probe_dds(const Source& source);

// Pixels as stored (TIFF and HEIC: upright); the caller applies the orientation that the probe reports.
void decode_png(const Source& source, Image* image);
void decode_jpeg(const Source& source, Image* image);
void decode_webp(const Source& source, Image* image);
void decode_gif(const Source& source, Image* image);
void decode_bmp(const Source& source, Image* image);
void decode_tiff(const Source& source, Image* image);
void decode_avif(const Source& source, Image* image);
void decode_heif(const Source& source, Image* image);
void decode_jxl(const Source& source, Image* image);
void decode_jpeg2000(const Source& source, Image* image);
void decode_pnm(const Source& source, Image* image);
void decode_ico(const Source& source, Image* image);
void decode_cur(const Source& source, Image* image);
void decode_tga(const Source& source, Image* image);
void decode_qoi(const Source& source, Image* image);
void decode_dib(const Source& source, Image* image);
void decode_pcx(const Source& source, Image* image);
void decode_sgi(const Source& source, Image* image);
void decode_dds(const Source& source, Image* image);

// Whether these bytes are a TGA's header: the format has no signature.
bool looks_like_tga(std::span<const uint8_t> bytes);

}  // namespace vl3::media
