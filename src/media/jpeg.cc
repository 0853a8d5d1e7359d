// JPEG through libjpeg-turbo with its defaults (slow integer DCT, fancy upsampling), which are Pillow's.
// libjpeg reports errors by a callback that must not return, hence setjmp: run_* below are the only functions
// with a setjmp in them, and hold nothing that has a destructor.

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

// clang-format off: jpeglib.h wants <cstdio> before it
#include <jerror.h>
#include <jpeglib.h>
// clang-format on

#include "media/exif.h"
#include "media/image_codec.h"

namespace vl3::media {
namespace {

struct Reader {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_source_mgr source;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
  bool truncated;
  const Source* file;
  // Where decoding writes: one row of libjpeg's samples, and the picture.
  uint8_t* row;
  uint8_t* rgb;
};

Reader* reader_of(j_common_ptr info) { return static_cast<Reader*>(info->client_data); }

void on_error(j_common_ptr info) {
  Reader* reader = reader_of(info);
  if (!reader->truncated) info->err->format_message(info, reader->message);
  std::longjmp(reader->escape, 1);
}
void on_message(j_common_ptr) {}
void on_warning(j_common_ptr info, int level) {
  if (level < 0) ++info->err->num_warnings;  // corrupt data that libjpeg mends, as it does for Pillow
}
void on_start(j_decompress_ptr) {}
boolean on_more(j_decompress_ptr info) {
  Reader* reader = static_cast<Reader*>(info->client_data);
  reader->truncated = true;
  on_error(reinterpret_cast<j_common_ptr>(info));
  return FALSE;
}
void on_skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if (static_cast<size_t>(count) > info->src->bytes_in_buffer) on_more(info);
  info->src->next_input_byte += count;
  info->src->bytes_in_buffer -= static_cast<size_t>(count);
}

// A progressive file may name the same coefficients in scans without end; honest ones have about ten.
constexpr int kMaxScans = 500;
void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  Reader* reader = reader_of(info);
  std::snprintf(reader->message, sizeof reader->message, "more than %d scans", kMaxScans);
  std::longjmp(reader->escape, 1);
}

bool run_header(Reader* reader, const uint8_t* bytes, size_t size, long max_memory) {
  reader->info.err = jpeg_std_error(&reader->errors);
  reader->info.client_data = reader;
  reader->errors.error_exit = on_error;
  reader->errors.output_message = on_message;
  reader->errors.emit_message = on_warning;
  if (setjmp(reader->escape) != 0) return false;
  jpeg_create_decompress(&reader->info);
  reader->info.client_data = reader;
  reader->info.mem->max_memory_to_use = max_memory;
  reader->source = {};
  reader->source.next_input_byte = bytes;
  reader->source.bytes_in_buffer = size;
  reader->source.init_source = on_start;
  reader->source.fill_input_buffer = on_more;
  reader->source.skip_input_data = on_skip;
  reader->source.resync_to_restart = jpeg_resync_to_restart;
  reader->source.term_source = on_start;
  reader->info.src = &reader->source;
  reader->progress.progress_monitor = on_progress;
  reader->info.progress = &reader->progress;
  jpeg_save_markers(&reader->info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&reader->info, TRUE);
  return true;
}

bool run_decode(Reader* reader) {
  if (setjmp(reader->escape) != 0) return false;
  jpeg_decompress_struct* info = &reader->info;
  info->out_color_space = info->num_components == 1   ? JCS_GRAYSCALE
                          : info->num_components == 3 ? JCS_RGB
                                                      : JCS_CMYK;
  jpeg_start_decompress(info);
  const size_t stride = static_cast<size_t>(info->output_width) * 3;
  while (info->output_scanline < info->output_height) {
    uint8_t* out = reader->rgb + stride * info->output_scanline;
    JSAMPROW row = info->num_components == 3 ? out : reader->row;
    jpeg_read_scanlines(info, &row, 1);
    if (info->num_components == 1) {
      grey_to_rgb(row, info->output_width, out);
    } else if (info->num_components == 4) {
      for (JDIMENSION x = 0; x < info->output_width; ++x) {
        uint8_t cmyk[4];  // stored inverted, as Adobe does and Pillow always assumes
        for (int c = 0; c < 4; ++c) cmyk[c] = static_cast<uint8_t>(255 - row[4 * x + c]);
        cmyk_to_rgb(cmyk, out + 3 * x);
      }
    }
    if (info->output_scanline % Source::kReadyRows == 0) reader->file->rows_ready(info->output_scanline);
  }
  jpeg_finish_decompress(info);  // reads on to the end marker
  return true;
}

// Owns the reader from outside of the functions that may be left by longjmp.
class Session {
 public:
  explicit Session(const Source& source) : source_(source) {
    reader_.file = &source;
    const int64_t memory = source.limits.max_allocation_bytes;
    check(run_header(&reader_, source.bytes.data(), source.bytes.size(),
                     memory > 0 ? static_cast<long>(memory) : 1));
  }
  ~Session() { jpeg_destroy_decompress(&reader_.info); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const jpeg_decompress_struct& info() const { return reader_.info; }
  void decode(uint8_t* row, uint8_t* rgb) {
    reader_.row = row;
    reader_.rgb = rgb;
    // All rows are there: what lacks is the end marker, which Pillow does not miss either.
    check(run_decode(&reader_) || (reader_.truncated && has_all_rows()));
  }

 private:
  bool has_all_rows() const {
    return reader_.info.output_height > 0 && reader_.info.output_scanline == reader_.info.output_height;
  }
  void check(bool ok) {
    if (ok) return;
    const size_t at = source_.bytes.size() - reader_.source.bytes_in_buffer;
    const auto row = reader_.info.output_scanline;
    const std::string message = reader_.message;
    const bool unsupported = !reader_.truncated && (reader_.errors.msg_code == JERR_BAD_PRECISION ||
                                                    reader_.errors.msg_code == JERR_SOF_UNSUPPORTED);
    const bool precision = !reader_.truncated && reader_.errors.msg_code == JERR_BAD_PRECISION;
    // A constructor that throws has no destructor to run.
    jpeg_destroy_decompress(&reader_.info);
    if (precision)
      fail(ErrorCode::kUnsupported, "[{}] JPEG with {} bits per sample is not supported, only 8",
           source_.name, reader_.errors.msg_parm.i[0]);
    if (unsupported) fail(ErrorCode::kUnsupported, "[{}] JPEG: {}", source_.name, message);
    if (reader_.truncated)
      fail(ErrorCode::kFormat, "[{}] JPEG truncated: the file ends at byte {} in row {}", source_.name,
           source_.bytes.size(), row);
    fail(ErrorCode::kFormat, "[{}] broken JPEG at byte {}, row {}: {}", source_.name, at, row, message);
  }

  const Source& source_;
  Reader reader_{};
};

const char* mode_of(const Source& source, const jpeg_decompress_struct& info) {
  require(info.num_components == 1 || info.num_components == 3 || info.num_components == 4,
          ErrorCode::kUnsupported, "[{}] JPEG with {} components is not supported", source.name,
          info.num_components);
  return info.num_components == 1 ? "L" : info.num_components == 3 ? "RGB" : "CMYK";
}

int orientation_of(const jpeg_decompress_struct& info) {
  constexpr std::string_view kExif("Exif\0\0", 6), kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
  std::string exif;
  int xmp = 0;
  for (auto* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.starts_with(kExif)) exif.append(exif.empty() ? data : data.substr(kExif.size()));
    if (data.starts_with(kXmp)) xmp = xmp_orientation({marker->data, marker->data_length});
  }
  const auto* block = reinterpret_cast<const uint8_t*>(exif.data());
  return choose_orientation(exif_orientation({block, exif.size()}), xmp);
}

}  // namespace

ImageInfo probe_jpeg(const Source& source) {
  const Session session(source);
  ImageInfo info;
  info.width = session.info().image_width;
  info.height = session.info().image_height;
  info.mode = mode_of(source, session.info());
  info.orientation = orientation_of(session.info());
  check_size(source, info.width, info.height, 3);
  return info;
}

void decode_jpeg(const Source& source, Image* image) {
  Session session(source);
  const int64_t width = session.info().image_width, height = session.info().image_height;
  *image = new_image(source, width, height, mode_of(source, session.info()));
  // Progressive files keep every coefficient: 2 bytes a sample.
  if (jpeg_has_multiple_scans(const_cast<j_decompress_ptr>(&session.info())))
    check_size(source, width, height, int64_t{2} * session.info().num_components);
  std::vector<uint8_t> row(static_cast<size_t>(width) * 4);
  session.decode(row.data(), image->rgb.data());
}

}  // namespace vl3::media
