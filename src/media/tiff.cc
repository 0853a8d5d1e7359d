// TIFF: libtiff undoes the strips, tiles, compression, byte and bit order; what samples mean is decided here,
// by Pillow's table of the combinations it reads.
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <vector>

#include "media/exif.h"
#include "media/image_codec.h"
#include "media/tiff_samples.h"

namespace vl3::media {
namespace {

struct Stream {
  std::span<const uint8_t> bytes;
  uint64_t at = 0;
  char message[256] = {};  // the first error libtiff reported

  static Stream& of(thandle_t handle) { return *static_cast<Stream*>(handle); }
};

tmsize_t on_read(thandle_t handle, void* out, tmsize_t count) {
  Stream& stream = Stream::of(handle);
  const uint64_t left = stream.at < stream.bytes.size() ? stream.bytes.size() - stream.at : 0;
  const uint64_t take = std::min<uint64_t>(left, static_cast<uint64_t>(count));
  if (take > 0) std::memcpy(out, stream.bytes.data() + stream.at, take);
  stream.at += take;
  return static_cast<tmsize_t>(take);
}
tmsize_t on_write(thandle_t, void*, tmsize_t) { return 0; }
toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  Stream& stream = Stream::of(handle);
  stream.at = whence == SEEK_SET   ? offset
              : whence == SEEK_CUR ? stream.at + offset
                                   : stream.bytes.size() + offset;
  return stream.at;
}
int on_close(thandle_t) { return 0; }
toff_t on_size(thandle_t handle) { return Stream::of(handle).bytes.size(); }
int on_error(TIFF*, void* data, const char*, const char* format, va_list arguments) {
  Stream& stream = *static_cast<Stream*>(data);
  if (stream.message[0] == '\0') std::vsnprintf(stream.message, sizeof stream.message, format, arguments);
  return 1;
}
int on_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

using Handle = std::unique_ptr<TIFF, decltype([](TIFF* tiff) { TIFFClose(tiff); })>;

struct Tiff {
  Stream stream;
  Handle handle;
  TiffForm form;
  int64_t width = 0, height = 0;
  int orientation = 1;

  TIFF* get() const { return handle.get(); }
};

template <class Value>
Value field(TIFF* tiff, uint32_t tag, Value otherwise) {
  Value value = otherwise;
  return TIFFGetFieldDefaulted(tiff, tag, &value) != 0 ? value : otherwise;
}

int orientation_of(TIFF* tiff) {
  uint16_t value = 0;
  if (TIFFGetField(tiff, TIFFTAG_ORIENTATION, &value) != 0) return value >= 1 && value <= 8 ? value : 1;
  uint32_t count = 0;
  const uint8_t* packet = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_XMLPACKET, &count, &packet) != 0 && packet != nullptr)
    return std::max(1, xmp_orientation({packet, count}));
  return 1;
}

TiffTags read_tags(TIFF* tiff, bool big_endian) {
  TiffTags tags;
  tags.big_endian = big_endian;
  tags.bits = field<uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE, 1);
  tags.samples = field<uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  tags.sample_format = field<uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT, 1);
  tags.photometric = field<uint16_t>(tiff, TIFFTAG_PHOTOMETRIC, 0);
  tags.compression = field<uint16_t>(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  tags.separate = field<uint16_t>(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
  uint16_t extras = 0;
  const uint16_t* kinds = nullptr;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extras, &kinds);
  tags.extras = extras;
  tags.first_extra = extras > 0 && kinds != nullptr ? kinds[0] : -1;
  return tags;
}

// libtiff drops a tag whose values lie beyond the end of the file and goes on without it (a palette becomes
// grey). Such a file is cut off, and the tags that decide over pixels must all be there.
void check_directory(const Source& source) {
  const std::span<const uint8_t> header = source.slice(0, 8, "the TIFF header");
  const bool big_endian = header[0] == 'M';
  const auto load = [&](uint64_t at, int bytes) {
    const uint8_t* p = source.slice(at, static_cast<uint64_t>(bytes), "the TIFF directory").data();
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8 | p[big_endian ? i : bytes - 1 - i];
    return value;
  };
  const bool big = load(2, 2) == 43;
  const int word = big ? 8 : 4;  // of counts and offsets
  uint64_t at = load(big ? 8 : 4, word);
  const uint64_t entries = load(at, big ? 8 : 2);
  at += big ? 8 : 2;
  for (uint64_t i = 0; i < entries; ++i, at += static_cast<uint64_t>(4 + 2 * word)) {
    constexpr uint64_t kBytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
    constexpr uint64_t kTags[] = {256, 257, 258, 259, 262, 273, 277, 279,
                                  320, 322, 323, 324, 325, 338, 339, 347};
    const uint64_t tag = load(at, 2), type = load(at + 2, 2), count = load(at + 4, word);
    if (std::ranges::find(kTags, tag) == std::end(kTags) || type >= std::size(kBytes)) continue;
    require(count <= source.bytes.size(), ErrorCode::kFormat,
            "[{}] broken TIFF: tag {} at byte {} declares {} values", source.name, tag, at, count);
    if (count * kBytes[type] > static_cast<uint64_t>(word))
      source.slice(load(at + 4 + static_cast<uint64_t>(word), word), count * kBytes[type], "a TIFF tag");
  }
}

// The directory of the first picture, checked. tiff must not move afterwards: libtiff keeps its address.
void open_tiff(const Source& source, Tiff* tiff) {
  check_directory(source);
  tiff->stream.bytes = source.bytes;
  using Options =
      std::unique_ptr<TIFFOpenOptions, decltype([](TIFFOpenOptions* o) { TIFFOpenOptionsFree(o); })>;
  const Options options(TIFFOpenOptionsAlloc());
  require(options != nullptr, ErrorCode::kOutOfMemory, "[{}] not enough memory for libtiff", source.name);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &tiff->stream);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(),
                                      std::max<int64_t>(source.limits.max_allocation_bytes, 1));
  tiff->handle.reset(TIFFClientOpenExt("tiff", "rm", &tiff->stream, on_read, on_write, on_seek, on_close,
                                       on_size, nullptr, nullptr, options.get()));
  require(tiff->handle != nullptr, ErrorCode::kFormat,
          "[{}] broken TIFF: no directory could be read at byte {}: {}", source.name, tiff->stream.at,
          tiff->stream.message);
  tiff->width = field<uint32_t>(tiff->get(), TIFFTAG_IMAGEWIDTH, 0);
  tiff->height = field<uint32_t>(tiff->get(), TIFFTAG_IMAGELENGTH, 0);
  check_size(source, tiff->width, tiff->height, 4);
  tiff->form = tiff_form(source, read_tags(tiff->get(), source.bytes[0] == 'M'));
  tiff->orientation = orientation_of(tiff->get());
}

[[noreturn]] void fail_block(const Source& source, const Tiff& tiff, const char* what, uint32_t block) {
  const int64_t at = static_cast<int64_t>(TIFFGetStrileOffset(tiff.get(), block));
  fail(ErrorCode::kFormat, "[{}] broken or truncated TIFF: {} {} at byte {} (the file has {}): {}",
       source.name, what, block, at, source.bytes.size(), tiff.stream.message);
}

void read_tiles(const Source& source, const Tiff& tiff, SampleSink* sink) {
  const int64_t tile_width = field<uint32_t>(tiff.get(), TIFFTAG_TILEWIDTH, 0);
  const int64_t tile_height = field<uint32_t>(tiff.get(), TIFFTAG_TILELENGTH, 0);
  const int64_t bytes = static_cast<int64_t>(TIFFTileSize64(tiff.get()));
  require(tile_width > 0 && tile_height > 0 && bytes > 0, ErrorCode::kFormat,
          "[{}] broken TIFF: tiles of {} x {}", source.name, tile_width, tile_height);
  check_allocation(source, bytes, "a tile");
  const int64_t row_bytes = TIFFTileRowSize(tiff.get());
  std::vector<uint8_t> tile(static_cast<size_t>(bytes));
  const int planes = tiff.form.separate ? tiff.form.samples : 1;
  uint32_t block = 0;
  for (int plane = 0; plane < planes; ++plane) {
    for (int64_t y = 0; y < tiff.height; y += tile_height) {
      for (int64_t x = 0; x < tiff.width; x += tile_width, ++block) {
        if (TIFFGetStrileByteCount(tiff.get(), block) == 0 ||
            TIFFReadEncodedTile(tiff.get(), block, tile.data(), static_cast<tmsize_t>(bytes)) < 0)
          fail_block(source, tiff, "tile", block);
        for (int64_t row = 0; row < std::min(tile_height, tiff.height - y); ++row)
          sink->put(tile.data() + row * row_bytes, plane, x, y + row, std::min(tile_width, tiff.width - x));
      }
    }
  }
}

void read_strips(const Source& source, const Tiff& tiff, SampleSink* sink) {
  const int64_t rows =
      std::min<int64_t>(field<uint32_t>(tiff.get(), TIFFTAG_ROWSPERSTRIP, UINT32_MAX), tiff.height);
  const int64_t row_bytes = TIFFScanlineSize(tiff.get());
  require(rows > 0 && row_bytes > 0, ErrorCode::kFormat, "[{}] broken TIFF: strips of {} rows of {} bytes",
          source.name, rows, row_bytes);
  const int64_t bytes = checked_mul(rows, row_bytes, "bytes of a TIFF strip");
  check_allocation(source, bytes, "a strip");
  std::vector<uint8_t> strip(static_cast<size_t>(bytes));
  const int planes = tiff.form.separate ? tiff.form.samples : 1;
  uint32_t block = 0;
  for (int plane = 0; plane < planes; ++plane) {
    for (int64_t y = 0; y < tiff.height; y += rows, ++block) {
      const int64_t here = std::min(rows, tiff.height - y);
      const tmsize_t wanted = static_cast<tmsize_t>(here * row_bytes);
      // Strips that the file does not list have no bytes; libtiff would leave the buffer as it is.
      if (TIFFGetStrileByteCount(tiff.get(), block) == 0 ||
          TIFFReadEncodedStrip(tiff.get(), block, strip.data(), wanted) < wanted)
        fail_block(source, tiff, "strip", block);
      for (int64_t row = 0; row < here; ++row)
        sink->put(strip.data() + row * row_bytes, plane, 0, y + row, tiff.width);
    }
  }
}

// Subsampled YCbCr, which libtiff makes RGB itself.
Image read_as_rgba(const Source& source, const Tiff& tiff) {
  TIFFRGBAImage reader;
  char message[1024] = "";
  require(TIFFRGBAImageBegin(&reader, tiff.get(), 1, message) != 0, ErrorCode::kFormat, "[{}] TIFF: {}",
          source.name, message);
  const std::unique_ptr<TIFFRGBAImage, decltype([](TIFFRGBAImage* r) { TIFFRGBAImageEnd(r); })> guard(
      &reader);
  reader.orientation = reader.req_orientation = ORIENTATION_TOPLEFT;
  std::vector<uint32_t> raster(static_cast<size_t>(tiff.width * tiff.height));
  require(TIFFRGBAImageGet(&reader, raster.data(), reader.width, reader.height) != 0, ErrorCode::kFormat,
          "[{}] broken or truncated TIFF (the file has {} bytes): {}", source.name, source.bytes.size(),
          tiff.stream.message);
  Image image = new_image(source, tiff.width, tiff.height, tiff.form.mode);
  for (size_t i = 0; i < raster.size(); ++i) {
    image.rgb[3 * i] = static_cast<uint8_t>(TIFFGetR(raster[i]));
    image.rgb[3 * i + 1] = static_cast<uint8_t>(TIFFGetG(raster[i]));
    image.rgb[3 * i + 2] = static_cast<uint8_t>(TIFFGetB(raster[i]));
  }
  return image;
}

}  // namespace

ImageInfo probe_tiff(const Source& source) {
  Tiff tiff;
  open_tiff(source, &tiff);
  ImageInfo info;
  info.width = tiff.width;
  info.height = tiff.height;
  info.mode = tiff.form.mode;
  info.orientation = tiff.orientation;
  info.frames = std::max<int64_t>(1, TIFFNumberOfDirectories(tiff.get()));
  return info;
}

void decode_tiff(const Source& source, Image* image) {
  Tiff tiff;
  open_tiff(source, &tiff);
  if (tiff.form.kind == TiffForm::Kind::kYCbCr && tiff.form.jpeg_to_rgb) {
    TIFFSetField(tiff.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    tiff.form.kind = TiffForm::Kind::kRgb;
  }
  if (tiff.form.kind == TiffForm::Kind::kYCbCr) {
    *image = orient(read_as_rgba(source, tiff), tiff.orientation);
    return;
  }
  Palette palette{};
  if (tiff.form.kind == TiffForm::Kind::kPalette) {
    uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
    require(TIFFGetField(tiff.get(), TIFFTAG_COLORMAP, &red, &green, &blue) != 0, ErrorCode::kFormat,
            "[{}] broken TIFF: a palette picture without a colour map", source.name);
    for (size_t i = 0; i < (size_t{1} << tiff.form.bits); ++i)
      palette[i] = {static_cast<uint8_t>(red[i] >> 8), static_cast<uint8_t>(green[i] >> 8),
                    static_cast<uint8_t>(blue[i] >> 8)};
  }
  *image = new_image(source, tiff.width, tiff.height, tiff.form.mode);
  SampleSink sink(tiff.form, palette, image);
  if (TIFFIsTiled(tiff.get()) != 0) {
    read_tiles(source, tiff, &sink);
  } else {
    read_strips(source, tiff, &sink);
  }
  sink.finish();
  *image = orient(std::move(*image), tiff.orientation);
}

}  // namespace vl3::media
