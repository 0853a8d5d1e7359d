// PNG through libpng. Rows come as stored (no gamma, no scaling), and are made RGB here as Pillow makes them:
// 16-bit RGB keeps its high bytes, 16-bit grey is clipped at 255 (Pillow's "I;16"), alpha is dropped.
// libpng reports errors by longjmp: run_* below are the only functions with a setjmp, and hold nothing that
// has a destructor.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "media/exif.h"
#include "media/image_codec.h"
#include "media/png_chunks.h"
#include "media/png_inflated.h"

namespace vl3::media {
namespace {

struct Reader {
  png_structp png;
  png_infop info;
  std::span<const std::span<const uint8_t>> parts;  // of the file, what is left of them
  size_t in_part;                                   // bytes read of the first one
  size_t at;                                        // of the file, where a message points to
  bool inflated, truncated;
  char message[160];
  png_uint_32 width, height, row;
  int bit_depth, color_type, interlace;
  size_t row_bytes;
};

void on_error(png_structp png, png_const_charp message) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, message, sizeof reader->message - 1);
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}
void on_read(png_structp png, png_bytep out, size_t count) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  while (count > 0) {
    if (reader->parts.empty()) {
      reader->truncated = true;
      png_error(png, "truncated");
    }
    const std::span<const uint8_t> part = reader->parts.front();
    const size_t taken = std::min(count, part.size() - reader->in_part);
    std::memcpy(out, part.data() + reader->in_part, taken);
    out += taken;
    count -= taken;
    reader->in_part += taken;
    if (!reader->inflated) reader->at += taken;
    if (reader->in_part < part.size()) continue;
    reader->parts = reader->parts.subspan(1);
    reader->in_part = 0;
  }
}

bool run_header(Reader* reader, size_t max_memory, uint32_t max_side) {
  reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, on_error, on_warning);
  if (reader->png == nullptr) return false;
  if (setjmp(png_jmpbuf(reader->png)) != 0) return false;
  reader->info = png_create_info_struct(reader->png);
  if (reader->info == nullptr) png_error(reader->png, "out of memory");
  png_set_read_fn(reader->png, reader, on_read);
  png_set_user_limits(reader->png, max_side, max_side);
  png_set_chunk_malloc_max(reader->png, max_memory);
  // Text, profiles and the rest are not looked at; the palette and the header always are.
  png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  if (reader->inflated) png_set_option(reader->png, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
  png_read_info(reader->png, reader->info);
  png_get_IHDR(reader->png, reader->info, &reader->width, &reader->height, &reader->bit_depth,
               &reader->color_type, &reader->interlace, nullptr, nullptr);
  reader->row_bytes = png_get_rowbytes(reader->png, reader->info);
  return true;
}

bool run_start(Reader* reader) {
  if (setjmp(png_jmpbuf(reader->png)) != 0) return false;
  if (reader->inflated) png_set_crc_action(reader->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
  png_set_interlace_handling(reader->png);
  png_start_read_image(reader->png);
  return true;
}

bool run_row(Reader* reader, uint8_t* out) {
  if (setjmp(png_jmpbuf(reader->png)) != 0) return false;
  png_read_row(reader->png, out, nullptr);
  return true;
}

class Session {
 public:
  // parts: of the source's file, or of what InflatedPng made of it.
  Session(const Source& source, std::span<const std::span<const uint8_t>> parts) : source_(source) {
    reader_.parts = parts;
    reader_.inflated = parts.size() > 1;
    if (reader_.inflated) reader_.at = parts[0].size();
    const int64_t memory = std::clamp<int64_t>(source.limits.max_allocation_bytes, 1, int64_t{1} << 31);
    const bool ok = run_header(&reader_, static_cast<size_t>(memory), PNG_UINT_31_MAX);
    if (!ok) fail_here();
  }
  ~Session() { destroy(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Reader& reader() const { return reader_; }
  void start() {
    if (!run_start(&reader_)) fail_here();
  }
  void read_row(uint32_t row, uint8_t* out) {
    reader_.row = row;
    if (!run_row(&reader_, out)) fail_here();
  }
  void read_palette(Palette* palette) const {
    png_colorp colors = nullptr;
    int count = 0;
    png_get_PLTE(reader_.png, reader_.info, &colors, &count);
    for (int i = 0; i < std::min(count, 256); ++i)
      (*palette)[static_cast<size_t>(i)] = {colors[i].red, colors[i].green, colors[i].blue};
  }

 private:
  void destroy() { png_destroy_read_struct(&reader_.png, &reader_.info, nullptr); }
  [[noreturn]] void fail_here() {
    destroy();
    if (reader_.truncated)
      fail(ErrorCode::kFormat, "[{}] PNG truncated: the file ends at byte {} in row {}", source_.name,
           source_.bytes.size(), reader_.row);
    fail(ErrorCode::kFormat, "[{}] broken PNG at byte {}, row {}: {}", source_.name, reader_.at, reader_.row,
         reader_.message[0] != '\0' ? reader_.message : "libpng could not start");
  }

  const Source& source_;
  Reader reader_{};
};

const char* mode_of(const Reader& reader) {
  switch (reader.color_type) {
    case PNG_COLOR_TYPE_GRAY:
      return reader.bit_depth == 1 ? "1" : reader.bit_depth == 16 ? "I;16" : "L";
    case PNG_COLOR_TYPE_PALETTE:
      return "P";
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      return reader.bit_depth == 16 ? "RGBA" : "LA";
    case PNG_COLOR_TYPE_RGB:
      return "RGB";
    default:
      return "RGBA";
  }
}

// Makes rows RGB. scratch holds a byte per pixel.
struct RowConverter {
  const Reader& reader;
  Palette palette{};
  std::vector<uint8_t> scratch;  // [width]

  void convert(const uint8_t* row, uint8_t* rgb) {
    const int64_t width = reader.width;
    const int step = reader.bit_depth == 16 ? 2 : 1;  // big-endian: the high byte is the first
    switch (reader.color_type) {
      case PNG_COLOR_TYPE_PALETTE:
        if (reader.bit_depth < 8) {
          unpack_bits(row, reader.bit_depth, 1, width, scratch.data());
          row = scratch.data();
        }
        apply_palette(row, width, palette, rgb);
        return;
      case PNG_COLOR_TYPE_GRAY:
        if (reader.bit_depth < 8) {
          unpack_bits(row, reader.bit_depth, 255 / ((1 << reader.bit_depth) - 1), width, scratch.data());
          row = scratch.data();
        } else if (reader.bit_depth == 16) {
          for (int64_t x = 0; x < width; ++x)
            scratch[static_cast<size_t>(x)] = row[2 * x] != 0 ? 255 : row[2 * x + 1];
          row = scratch.data();
        }
        grey_to_rgb(row, width, rgb);
        return;
      case PNG_COLOR_TYPE_GRAY_ALPHA:
        for (int64_t x = 0; x < width; ++x) scratch[static_cast<size_t>(x)] = row[2 * step * x];
        grey_to_rgb(scratch.data(), width, rgb);
        return;
      default: {
        const int channels = reader.color_type == PNG_COLOR_TYPE_RGB ? 3 : 4;
        for (int64_t x = 0; x < width; ++x)
          for (int c = 0; c < 3; ++c) rgb[3 * x + c] = row[(x * channels + c) * step];
      }
    }
  }
};

}  // namespace

ImageInfo probe_png(const Source& source) {
  const Session session(source, {&source.bytes, 1});
  ImageInfo info;
  info.width = session.reader().width;
  info.height = session.reader().height;
  info.mode = mode_of(session.reader());
  info.orientation = png_orientation(source);
  check_size(source, info.width, info.height, 3);
  return info;
}

void decode_png(const Source& source, Image* image) {
  // The header's size first: libpng itself allocates rows for it.
  const std::span<const uint8_t> header = source.slice(0, 29, "the PNG header");
  check_size(source, load_be32(&header[16]), load_be32(&header[20]), 3);
  const std::optional<InflatedPng> inflated = InflatedPng::make(source);
  Session session(source, inflated ? inflated->parts() : std::span(&source.bytes, 1));
  const Reader& reader = session.reader();
  const int64_t width = reader.width, height = reader.height;
  *image = new_image(source, width, height, mode_of(reader));
  const size_t stride = static_cast<size_t>(width) * 3;
  RowConverter converter{reader, {}, std::vector<uint8_t>(static_cast<size_t>(width))};
  if (reader.color_type == PNG_COLOR_TYPE_PALETTE) session.read_palette(&converter.palette);
  session.start();
  if (reader.interlace == PNG_INTERLACE_NONE) {
    const bool straight = reader.color_type == PNG_COLOR_TYPE_RGB && reader.bit_depth == 8;
    std::vector<uint8_t> row(straight ? 0 : reader.row_bytes);
    for (size_t y = 0; y < static_cast<size_t>(height); ++y) {
      uint8_t* rgb = image->rgb.data() + y * stride;
      session.read_row(static_cast<uint32_t>(y), straight ? rgb : row.data());
      if (!straight) converter.convert(row.data(), rgb);
      if ((y + 1) % Source::kReadyRows == 0) source.rows_ready(static_cast<int64_t>(y) + 1);
    }
    return;
  }
  const size_t raw_bytes = reader.row_bytes * static_cast<size_t>(height);
  check_allocation(source, static_cast<int64_t>(raw_bytes), "the interlaced picture");
  std::vector<uint8_t> raw(raw_bytes);
  for (int pass = 0; pass < 7; ++pass)
    for (size_t y = 0; y < static_cast<size_t>(height); ++y)
      session.read_row(static_cast<uint32_t>(y), raw.data() + y * reader.row_bytes);
  for (size_t y = 0; y < static_cast<size_t>(height); ++y)
    converter.convert(raw.data() + y * reader.row_bytes, image->rgb.data() + y * stride);
}

}  // namespace vl3::media
