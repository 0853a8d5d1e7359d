// Recognising, dispatching, checking: everything about a picture that no one format owns.
#include "vl3/image.h"

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "media/exif.h"
#include "media/image_codec.h"
#include "media/image_sniff.h"

namespace vl3 {
namespace media {

std::span<const uint8_t> Source::slice(uint64_t offset, uint64_t count, const char* what) const {
  require(offset <= bytes.size() && count <= bytes.size() - offset, ErrorCode::kFormat,
          "[{}] truncated: {} needs bytes {} to {}, the file has {}", name, what, offset, offset + count,
          bytes.size());
  return bytes.subspan(static_cast<size_t>(offset), static_cast<size_t>(count));
}

void check_allocation(const Source& source, int64_t bytes, const char* what) {
  require(bytes <= source.limits.max_allocation_bytes, ErrorCode::kLimitExceeded,
          "[{}] {} would take {} bytes, above the limit max_allocation_bytes of {}", source.name, what, bytes,
          source.limits.max_allocation_bytes);
}

void check_size(const Source& source, int64_t width, int64_t height, int64_t bytes_per_pixel) {
  require(width > 0 && height > 0, ErrorCode::kFormat, "[{}] the header claims a size of {} x {} pixels",
          source.name, width, height);
  const int64_t pixels = checked_mul(width, height, "pixels of a picture");
  require(pixels <= source.limits.max_pixels, ErrorCode::kLimitExceeded,
          "[{}] {} x {} is {} pixels, above the limit max_pixels of {}", source.name, width, height, pixels,
          source.limits.max_pixels);
  check_allocation(source, checked_mul(pixels, bytes_per_pixel, "bytes of a picture"), "the picture");
}

Image new_image(const Source& source, int64_t width, int64_t height, std::string mode) {
  check_size(source, width, height, 3);
  Image image{height, width, {}, std::move(mode)};
  image.rgb.resize(static_cast<size_t>(width * height * 3));
  return image;
}

void unpack_bits(const uint8_t* packed, int bits, int scale, int64_t count, uint8_t* out) {
  const int mask = (1 << bits) - 1, per_byte = 8 / bits;
  for (int64_t i = 0; i < count; ++i) {
    const int shift = 8 - bits - bits * static_cast<int>(i % per_byte);
    out[i] = static_cast<uint8_t>(((packed[i / per_byte] >> shift) & mask) * scale);
  }
}

void apply_palette(const uint8_t* indices, int64_t count, const Palette& palette, uint8_t* rgb) {
  for (int64_t i = 0; i < count; ++i) std::memcpy(rgb + 3 * i, palette[indices[i]].data(), 3);
}

void grey_to_rgb(const uint8_t* grey, int64_t count, uint8_t* rgb) {
  for (int64_t i = 0; i < count; ++i) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = grey[i];
}

namespace {

struct Codec {
  ImageFormat format;
  const char* name;
  const char* library;  // that this build lacks, else null
  ImageInfo (*probe)(const Source&);
  void (*decode)(const Source&, Image*);
};
constexpr Codec kCodecs[] = {
    {ImageFormat::kPng, "png", nullptr, probe_png, decode_png},
    {ImageFormat::kJpeg, "jpeg", nullptr, probe_jpeg, decode_jpeg},
    {ImageFormat::kWebp, "webp", nullptr, probe_webp, decode_webp},
    {ImageFormat::kGif, "gif", nullptr, probe_gif, decode_gif},
    {ImageFormat::kBmp, "bmp", nullptr, probe_bmp, decode_bmp},
    {ImageFormat::kTiff, "tiff", nullptr, probe_tiff, decode_tiff},
#ifdef VL3_HAVE_AVIF
    {ImageFormat::kAvif, "avif", nullptr, probe_avif, decode_avif},
#else
    {ImageFormat::kAvif, "avif", "libavif", nullptr, nullptr},
#endif
#ifdef VL3_HAVE_HEIF
    {ImageFormat::kHeif, "heif", nullptr, probe_heif, decode_heif},
#else
    {ImageFormat::kHeif, "heif", "libheif", nullptr, nullptr},
#endif
#ifdef VL3_HAVE_JXL
    {ImageFormat::kJxl, "jxl", nullptr, probe_jxl, decode_jxl},
#else
    {ImageFormat::kJxl, "jxl", "libjxl", nullptr, nullptr},
#endif
#ifdef VL3_HAVE_JPEG2000
    {ImageFormat::kJpeg2000, "jpeg2000", nullptr, probe_jpeg2000, decode_jpeg2000},
#else
    {ImageFormat::kJpeg2000, "jpeg2000", "libopenjp2", nullptr, nullptr},
#endif
    {ImageFormat::kPnm, "pnm", nullptr, probe_pnm, decode_pnm},
    {ImageFormat::kIco, "ico", nullptr, probe_ico, decode_ico},
    {ImageFormat::kCur, "cur", nullptr, probe_cur, decode_cur},
    {ImageFormat::kTga, "tga", nullptr, probe_tga, decode_tga},
    {ImageFormat::kQoi, "qoi", nullptr, probe_qoi, decode_qoi},
    {ImageFormat::kDib, "dib", nullptr, probe_dib, decode_dib},
    {ImageFormat::kPcx, "pcx", nullptr, probe_pcx, decode_pcx},
    {ImageFormat::kSgi, "sgi", nullptr, probe_sgi, decode_sgi},
    {ImageFormat::kDds, "dds", nullptr, probe_dds, decode_dds},
};

const Codec& find_codec(const Source& source, std::span<const std::byte> bytes) {
  require(!bytes.empty(), ErrorCode::kFormat, "[{}] is empty", source.name);
  require(static_cast<int64_t>(bytes.size()) <= source.limits.max_file_bytes, ErrorCode::kLimitExceeded,
          "[{}] has {} bytes, above the limit max_file_bytes of {}", source.name, bytes.size(),
          source.limits.max_file_bytes);
  ImageFormat format{};
  if (!sniff_image(bytes, &format)) {
    const std::string other = describe_foreign_file(bytes);
    require(other.empty(), ErrorCode::kFormat, "[{}] is {}", source.name, other);
    fail(ErrorCode::kFormat,
         "[{}] does not begin like a picture (PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG XL, JPEG "
         "2000, PNM, "
         "ICO, TGA, QOI, PCX, SGI or DDS): {}",
         source.name, first_bytes(source.bytes));
  }
  const Codec& codec = kCodecs[static_cast<size_t>(format)];
  require(codec.library == nullptr, ErrorCode::kUnsupported,
          "[{}] is a picture of the format {}, which this build cannot read: it was made without {}",
          source.name, codec.name, codec.library != nullptr ? codec.library : "");
  return codec;
}

Source make_source(std::span<const std::byte> bytes, const MediaLimits& limits, std::string_view name) {
  return {{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, limits, name};
}

std::string read_picture_file(const std::filesystem::path& path, const MediaLimits& limits) {
  return read_file(path, static_cast<uint64_t>(std::max<int64_t>(limits.max_file_bytes, 0)));
}

}  // namespace
}  // namespace media

const char* to_string(ImageFormat format) noexcept {
  return media::kCodecs[static_cast<size_t>(format)].name;
}

Image decode_image(std::span<const std::byte> bytes, const MediaLimits& limits, std::string_view name,
                   bool apply_exif_orientation) {
  Image image;
  decode_image(bytes, limits, name, apply_exif_orientation, &image, nullptr);
  return image;
}

void decode_image(std::span<const std::byte> bytes, const MediaLimits& limits, std::string_view name,
                  bool apply_exif_orientation, Image* image, const RowsReady& ready) {
  media::Source source = media::make_source(bytes, limits, name);
  const media::Codec& codec = media::find_codec(source, bytes);
  try {
    const bool may_turn = apply_exif_orientation && codec.format != ImageFormat::kTiff;
    const int orientation = may_turn ? codec.probe(source).orientation : 1;
    if (ready && orientation == 1) source.ready = &ready;
    codec.decode(source, image);
    // The turned copy is the picture's size again and lives beside it for a moment.
    if (orientation != 1) *image = media::orient(std::move(*image), orientation);
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::kOutOfMemory, "[{}] not enough memory to decode this {} picture", name, codec.name);
  }
}

ImageInfo probe_image(std::span<const std::byte> bytes, const MediaLimits& limits, std::string_view name,
                      bool apply_exif_orientation) {
  const media::Source source = media::make_source(bytes, limits, name);
  const media::Codec& codec = media::find_codec(source, bytes);
  ImageInfo info = codec.probe(source);
  info.format = codec.format;
  const bool turns = apply_exif_orientation || codec.format == ImageFormat::kTiff;
  if (turns && info.orientation >= 5) std::swap(info.width, info.height);
  return info;
}

Image read_image(const std::filesystem::path& path, const MediaLimits& limits, bool apply_exif_orientation) {
  Image image;
  read_image(path, limits, apply_exif_orientation, &image, nullptr);
  return image;
}

void read_image(const std::filesystem::path& path, const MediaLimits& limits, bool apply_exif_orientation,
                Image* image, const RowsReady& ready) {
  const std::string text = media::read_picture_file(path, limits);
  decode_image(std::as_bytes(std::span(text)), limits, path.string(), apply_exif_orientation, image, ready);
}

ImageInfo probe_image(const std::filesystem::path& path, const MediaLimits& limits,
                      bool apply_exif_orientation) {
  const std::string text = media::read_picture_file(path, limits);
  return probe_image(std::as_bytes(std::span(text)), limits, path.string(), apply_exif_orientation);
}

}  // namespace vl3
