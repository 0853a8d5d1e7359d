// JPEG XL through libjxl. A file that was a JPEG is turned back into that very JPEG, as Pillow's plugin does.
#include <jxl/decode.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "media/exif.h"
#include "media/image_codec.h"

namespace vl3::media {
namespace {

using Decoder = std::unique_ptr<JxlDecoder, decltype([](JxlDecoder* p) { JxlDecoderDestroy(p); })>;

// The contents of the first box of that kind in a file of boxes; empty where there is none.
std::span<const uint8_t> find_box(const Source& source, std::string_view kind) {
  const auto bytes = source.bytes;
  if (bytes.empty() || bytes[0] == 0xFF) return {};  // a bare codestream
  for (uint64_t at = 0; at + 8 <= bytes.size();) {
    uint64_t size = load_be32(&bytes[at]), header = 8;
    if (size == 1 && at + 16 <= bytes.size()) {
      size = uint64_t{load_be32(&bytes[at + 8])} << 32 | load_be32(&bytes[at + 12]);
      header = 16;
    }
    if (size == 0) size = bytes.size() - at;  // the last one
    if (size < header || size > bytes.size() - at) return {};
    if (std::memcmp(&bytes[at + 4], kind.data(), 4) == 0) return bytes.subspan(at + header, size - header);
    at += size;
  }
  return {};
}

class JxlReader {
 public:
  // events: beside the header's. Stored: sizes and pixels before the orientation.
  JxlReader(const Source& source, int events, bool stored)
      : source_(source), decoder_(JxlDecoderCreate(nullptr)) {
    require(decoder_ != nullptr, ErrorCode::kOutOfMemory,
            "[{}] not enough memory to decode this JPEG XL picture", source.name);
    check(JxlDecoderSubscribeEvents(decoder_.get(), JXL_DEC_BASIC_INFO | events));
    check(JxlDecoderSetKeepOrientation(decoder_.get(), stored ? JXL_TRUE : JXL_FALSE));
    check(JxlDecoderSetInput(decoder_.get(), source.bytes.data(), source.bytes.size()));
    JxlDecoderCloseInput(decoder_.get());
  }

  JxlDecoder* get() const { return decoder_.get(); }
  void check(JxlDecoderStatus status) const {
    require(status == JXL_DEC_SUCCESS, ErrorCode::kFormat, "[{}] broken JPEG XL (libjxl's status {})",
            source_.name, static_cast<int>(status));
  }
  // Goes on to the next event.
  JxlDecoderStatus next() const {
    const JxlDecoderStatus status = JxlDecoderProcessInput(decoder_.get());
    require(status != JXL_DEC_NEED_MORE_INPUT, ErrorCode::kFormat,
            "[{}] JPEG XL truncated: the file ends at byte {}", source_.name, source_.bytes.size());
    if (status == JXL_DEC_ERROR) {
      const size_t left = JxlDecoderReleaseInput(decoder_.get());
      fail(ErrorCode::kFormat, "[{}] broken JPEG XL before byte {} of {}", source_.name,
           source_.bytes.size() - left, source_.bytes.size());
    }
    return status;
  }
  JxlBasicInfo basic_info() const {
    while (next() != JXL_DEC_BASIC_INFO) {
    }
    JxlBasicInfo basic;
    check(JxlDecoderGetBasicInfo(decoder_.get(), &basic));
    // libjxl computes in floats: four channels at most are held, beside those of the picture.
    check_size(source_, basic.xsize, basic.ysize, 12);
    return basic;
  }

 private:
  const Source& source_;
  Decoder decoder_;
};

// The JPEG that the file was made of.
std::vector<uint8_t> restore_jpeg(const Source& source) {
  const JxlReader reader(source, JXL_DEC_JPEG_RECONSTRUCTION | JXL_DEC_FULL_IMAGE, true);
  reader.basic_info();
  std::vector<uint8_t> jpeg(std::max<size_t>(source.bytes.size() * 2, 1 << 16));
  size_t used = 0;
  const auto give = [&] {
    reader.check(JxlDecoderSetJPEGBuffer(reader.get(), jpeg.data() + used, jpeg.size() - used));
  };
  const auto take = [&] { used = jpeg.size() - JxlDecoderReleaseJPEGBuffer(reader.get()); };
  for (;;) {
    switch (reader.next()) {
      case JXL_DEC_JPEG_RECONSTRUCTION:
        give();
        break;
      case JXL_DEC_JPEG_NEED_MORE_OUTPUT:
        take();
        check_allocation(source, static_cast<int64_t>(jpeg.size() * 2), "the JPEG in a JPEG XL");
        jpeg.resize(jpeg.size() * 2);
        give();
        break;
      case JXL_DEC_FULL_IMAGE:
        take();
        jpeg.resize(used);
        return jpeg;
      default:
        fail(ErrorCode::kFormat, "[{}] broken JPEG XL: its JPEG cannot be restored", source.name);
    }
  }
}

struct Form {
  uint32_t channels = 3;
  JxlDataType type = JXL_TYPE_UINT8;
  const char* mode = "";
  size_t sample_bytes() const { return type == JXL_TYPE_UINT8 ? 1 : type == JXL_TYPE_UINT16 ? 2 : 4; }
};

Form form_of(const Source& source, const JxlBasicInfo& basic) {
  const bool grey = basic.num_color_channels == 1, alpha = basic.alpha_bits > 0;
  Form form;
  form.channels = basic.num_color_channels + (alpha ? 1 : 0);
  form.mode = grey ? (alpha ? "LA" : "L") : (alpha ? "RGBA" : "RGB");
  if (basic.exponent_bits_per_sample > 0) {
    require(grey && !alpha, ErrorCode::kUnsupported, "[{}] JPEG XL with colours of floats is not supported",
            source.name);
    form.type = JXL_TYPE_FLOAT;
    form.mode = "F";
  } else if (basic.bits_per_sample > 8) {
    form.type = JXL_TYPE_UINT16;
    if (grey && !alpha) form.mode = "I;16";
  }
  return form;
}

// Of 16 bits the high byte counts, but grey ones and floats are clipped at 255.
uint8_t narrow(const uint8_t* sample, const Form& form) {
  if (form.type == JXL_TYPE_UINT8) return *sample;
  if (form.type == JXL_TYPE_FLOAT) {
    float value = 0;
    std::memcpy(&value, sample, sizeof value);
    return value > 0 ? static_cast<uint8_t>(std::min(255.0f, value)) : 0;
  }
  uint16_t value = 0;
  std::memcpy(&value, sample, sizeof value);
  return static_cast<uint8_t>(form.channels == 1 ? std::min<int>(255, value) : value >> 8);
}

}  // namespace

ImageInfo probe_jxl(const Source& source) {
  const bool was_jpeg = !find_box(source, "jbrd").empty();
  const JxlBasicInfo basic = JxlReader(source, 0, was_jpeg).basic_info();
  ImageInfo info;
  info.width = basic.xsize;
  info.height = basic.ysize;
  if (was_jpeg) {
    info.mode = std::string(basic.num_color_channels == 1 ? "L" : "RGB");
    info.orientation = static_cast<int>(basic.orientation);
    return info;
  }
  info.mode = form_of(source, basic).mode;
  // libjxl has turned the picture where its own header says so, and then EXIF no longer counts. The box
  // begins with four bytes of its own, which some writers leave out.
  auto exif = find_box(source, "Exif");
  if (exif.size() > 8 && exif[0] != 'I' && exif[0] != 'M') exif = exif.subspan(4);
  if (basic.orientation == JXL_ORIENT_IDENTITY)
    info.orientation = choose_orientation(exif_orientation(exif), 0);
  return info;
}

void decode_jxl(const Source& source, Image* image) {
  if (!find_box(source, "jbrd").empty()) {
    const std::vector<uint8_t> jpeg = restore_jpeg(source);
    return decode_jpeg({jpeg, source.limits, source.name, source.ready}, image);
  }
  const JxlReader reader(source, JXL_DEC_FULL_IMAGE, false);
  const JxlBasicInfo basic = reader.basic_info();
  const Form form = form_of(source, basic);
  const JxlPixelFormat format{form.channels, form.type, JXL_NATIVE_ENDIAN, 0};
  std::vector<uint8_t> samples;
  for (JxlDecoderStatus status = reader.next(); status != JXL_DEC_FULL_IMAGE; status = reader.next()) {
    require(status == JXL_DEC_NEED_IMAGE_OUT_BUFFER, ErrorCode::kFormat,
            "[{}] broken JPEG XL: it holds no picture", source.name);
    size_t bytes = 0;
    reader.check(JxlDecoderImageOutBufferSize(reader.get(), &format, &bytes));
    check_allocation(source, static_cast<int64_t>(bytes), "the picture");
    samples.resize(bytes);
    reader.check(JxlDecoderSetImageOutBuffer(reader.get(), &format, samples.data(), samples.size()));
  }
  *image = new_image(source, basic.xsize, basic.ysize, form.mode);
  const size_t step = form.channels * form.sample_bytes();
  require(samples.size() >= image->rgb.size() / 3 * step, ErrorCode::kFormat,
          "[{}] broken JPEG XL: it has {} bytes of pixels", source.name, samples.size());
  const bool grey = form.channels < 3;
  for (size_t i = 0; i < image->rgb.size() / 3; ++i)
    for (size_t c = 0; c < 3; ++c)
      image->rgb[3 * i + c] = narrow(&samples[i * step + (grey ? 0 : c) * form.sample_bytes()], form);
}

}  // namespace vl3::media
