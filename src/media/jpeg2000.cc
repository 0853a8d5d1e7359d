// JPEG 2000 through OpenJPEG: JP2 files and bare codestreams. What samples mean is decided here, as Pillow
// does.
#include <openjpeg.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "media/image_codec.h"
#include "media/ycbcr.h"

namespace vl3::media {
namespace {

struct Stream {
  std::span<const uint8_t> bytes;
  size_t at = 0;
};

OPJ_SIZE_T on_read(void* out, OPJ_SIZE_T count, void* data) {
  auto& stream = *static_cast<Stream*>(data);
  const size_t taken = std::min<size_t>(count, stream.bytes.size() - stream.at);
  if (taken == 0) return static_cast<OPJ_SIZE_T>(-1);
  std::memcpy(out, stream.bytes.data() + stream.at, taken);
  stream.at += taken;
  return taken;
}
OPJ_OFF_T on_skip(OPJ_OFF_T count, void* data) {
  auto& stream = *static_cast<Stream*>(data);
  const auto left = static_cast<OPJ_OFF_T>(stream.bytes.size() - stream.at);
  if (count < 0 || left == 0) return -1;
  const OPJ_OFF_T taken = std::min(count, left);
  stream.at += static_cast<size_t>(taken);
  return taken;
}
OPJ_BOOL on_seek(OPJ_OFF_T to, void* data) {
  auto& stream = *static_cast<Stream*>(data);
  if (to < 0 || static_cast<uint64_t>(to) > stream.bytes.size()) return OPJ_FALSE;
  stream.at = static_cast<size_t>(to);
  return OPJ_TRUE;
}
void on_error(const char* message, void* data) {
  auto& first = *static_cast<std::string*>(data);
  if (!first.empty()) return;
  first = message;
  while (!first.empty() && first.back() == '\n') first.pop_back();
}
void on_note(const char*, void*) {}

using Codec = std::unique_ptr<opj_codec_t, decltype([](opj_codec_t* p) { opj_destroy_codec(p); })>;
using StreamHandle = std::unique_ptr<opj_stream_t, decltype([](opj_stream_t* p) { opj_stream_destroy(p); })>;
using Samples = std::unique_ptr<opj_image_t, decltype([](opj_image_t* p) { opj_image_destroy(p); })>;

bool is_codestream(const Source& source) { return source.bytes[0] == 0xFF; }

class Decoder {
 public:
  // Reads the header and checks the sizes.
  explicit Decoder(const Source& source) : source_(source), bytes_{source.bytes} {
    stream_.reset(opj_stream_create(size_t{1} << 16, OPJ_TRUE));
    codec_.reset(opj_create_decompress(is_codestream(source) ? OPJ_CODEC_J2K : OPJ_CODEC_JP2));
    require(stream_ != nullptr && codec_ != nullptr, ErrorCode::kOutOfMemory,
            "[{}] not enough memory to decode this JPEG 2000 picture", source.name);
    opj_stream_set_user_data(stream_.get(), &bytes_, nullptr);
    opj_stream_set_user_data_length(stream_.get(), source.bytes.size());
    opj_stream_set_read_function(stream_.get(), on_read);
    opj_stream_set_skip_function(stream_.get(), on_skip);
    opj_stream_set_seek_function(stream_.get(), on_seek);
    opj_set_error_handler(codec_.get(), on_error, &message_);
    opj_set_warning_handler(codec_.get(), on_note, nullptr);
    opj_set_info_handler(codec_.get(), on_note, nullptr);
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    check(opj_setup_decoder(codec_.get(), &parameters));
    opj_image_t* raw = nullptr;
    const OPJ_BOOL read = opj_read_header(stream_.get(), codec_.get(), &raw);
    samples_.reset(raw);
    check(read);
    describe();
  }

  const ImageInfo& info() const { return info_; }
  const opj_image_t& decode() {
    check(opj_decode(codec_.get(), stream_.get(), samples_.get()));
    check(opj_end_decompress(codec_.get(), stream_.get()));
    return *samples_;
  }

 private:
  void check(OPJ_BOOL done) const {
    require(done == OPJ_TRUE, ErrorCode::kFormat, "[{}] broken JPEG 2000 before byte {} of {}: {}",
            source_.name, bytes_.at, source_.bytes.size(),
            message_.empty() ? "its data is corrupt" : message_);
  }
  void describe() {
    const opj_image_t& image = *samples_;
    info_.width = int64_t{image.x1} - image.x0;
    info_.height = int64_t{image.y1} - image.y0;
    require(image.numcomps >= 1 && image.numcomps <= 4, ErrorCode::kUnsupported,
            "[{}] JPEG 2000 with {} components is not supported", source_.name, image.numcomps);
    // OpenJPEG holds four bytes of each component, and as much again while it decodes.
    check_size(source_, info_.width, info_.height, 8 * int64_t{image.numcomps});
    for (uint32_t c = 0; c < image.numcomps; ++c)
      require(image.comps[c].prec >= 1 && image.comps[c].prec <= 16, ErrorCode::kUnsupported,
              "[{}] JPEG 2000 with {} bits a sample is not supported", source_.name, image.comps[c].prec);
    static constexpr const char* kModes[] = {"L", "LA", "RGB", "RGBA"};
    const bool wide = image.numcomps == 1 && image.comps[0].prec > 8;
    info_.mode = wide ? "I;16" : image.color_space == OPJ_CLRSPC_CMYK ? "CMYK" : kModes[image.numcomps - 1];
  }

  const Source& source_;
  Stream bytes_;
  std::string message_;
  StreamHandle stream_;
  Codec codec_;
  Samples samples_;
  ImageInfo info_;
};

// A component as 8 bits, rounded and, as in Pillow, not clipped; samples wider than they are tall are
// repeated.
class Component {
 public:
  Component(const opj_image_comp_t& component)
      : data_(component.data),
        stride_(component.w),
        step_x_(std::max(component.dx, 1u)),
        step_y_(std::max(component.dy, 1u)),
        shift_(8 - static_cast<int>(component.prec)),
        offset_(component.sgnd != 0 ? 1 << (component.prec - 1) : 0) {
    if (shift_ < 0) offset_ += 1 << (-shift_ - 1);
  }
  int32_t raw(int64_t x, int64_t y) const { return data_[(y / step_y_) * stride_ + x / step_x_]; }
  uint8_t at(int64_t x, int64_t y) const {
    const int32_t value = offset_ + raw(x, y);
    return static_cast<uint8_t>(shift_ < 0 ? value >> -shift_ : value << shift_);
  }

 private:
  const int32_t* data_;
  int64_t stride_, step_x_, step_y_;
  int shift_, offset_;
};

// Every component has the samples that its step says, or none is looked at.
void check_components(const Source& source, const opj_image_t& image, const ImageInfo& info) {
  for (uint32_t c = 0; c < image.numcomps; ++c) {
    const opj_image_comp_t& component = image.comps[c];
    const int64_t dx = std::max(component.dx, 1u), dy = std::max(component.dy, 1u);
    require(component.data != nullptr && (info.width + dx - 1) / dx <= component.w &&
                (info.height + dy - 1) / dy <= component.h,
            ErrorCode::kUnsupported, "[{}] JPEG 2000 whose component {} has {} x {} samples is not supported",
            source.name, c, component.w, component.h);
  }
}

void put_row(const opj_image_t& image, std::span<const Component> components, int64_t y, int64_t width,
             uint8_t* rgb) {
  const uint32_t count = image.numcomps;
  const bool subsampled =
      count >= 3 && (image.comps[1].dx != image.comps[0].dx || image.comps[1].dy != image.comps[0].dy);
  const bool ycc = count >= 3 && (image.color_space == OPJ_CLRSPC_SYCC ||
                                  (image.color_space == OPJ_CLRSPC_UNSPECIFIED && subsampled));
  const bool cmyk = count == 4 && image.color_space == OPJ_CLRSPC_CMYK;
  const bool wide = count == 1 && image.comps[0].prec > 8;
  for (int64_t x = 0; x < width; ++x, rgb += 3) {
    if (wide) {  // Pillow's "I;16" fills its 16 bits and is then clipped at 255
      const opj_image_comp_t& grey = image.comps[0];
      const int64_t value = components[0].raw(x, y) + (grey.sgnd != 0 ? int64_t{1} << (grey.prec - 1) : 0);
      rgb[0] = rgb[1] = rgb[2] = static_cast<uint8_t>(std::min<int64_t>(255, value << (16 - grey.prec)));
    } else if (count < 3) {
      rgb[0] = rgb[1] = rgb[2] = components[0].at(x, y);
    } else if (cmyk) {
      const uint8_t ink[4] = {components[0].at(x, y), components[1].at(x, y), components[2].at(x, y),
                              components[3].at(x, y)};
      cmyk_to_rgb(ink, rgb);
    } else {
      for (size_t c = 0; c < 3; ++c) rgb[c] = components[c].at(x, y);
      if (ycc) ycbcr_to_rgb(rgb);
    }
  }
}

}  // namespace

ImageInfo probe_jpeg2000(const Source& source) { return Decoder(source).info(); }

void decode_jpeg2000(const Source& source, Image* image) {
  Decoder decoder(source);
  const ImageInfo info = decoder.info();
  const opj_image_t& samples = decoder.decode();
  check_components(source, samples, info);
  *image = new_image(source, info.width, info.height, info.mode);
  const std::vector<Component> components(samples.comps, samples.comps + samples.numcomps);
  for (int64_t y = 0; y < info.height; ++y)
    put_row(samples, components, y, info.width, &image->rgb[static_cast<size_t>(y * info.width * 3)]);
}

}  // namespace vl3::media
