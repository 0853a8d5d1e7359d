// AVIF through libavif, with the conversions to RGB that libavif 1.4 makes, which is Pillow's: of 8 bits
// every version makes them; of more, older ones convert at full depth what newer ones narrow to 8 bits first.
#include <algorithm>
#include <cstring>

#include "media/avif_reader.h"
#include "media/exif.h"

namespace vl3::media {
namespace {

using Picture = std::unique_ptr<avifImage, decltype([](avifImage* p) { avifImageDestroy(p); })>;

void check(const Source& source, const avifDecoder* decoder, avifResult result) {
  if (result == AVIF_RESULT_OK) return;
  require(result != AVIF_RESULT_OUT_OF_MEMORY, ErrorCode::kOutOfMemory,
          "[{}] not enough memory to decode this AVIF picture", source.name);
  const char* detail = decoder != nullptr ? decoder->diag.error : "";
  fail(ErrorCode::kFormat, "[{}] broken AVIF: {}{}{}", source.name, avifResultToString(result),
       detail[0] != '\0' ? ": " : "", detail);
}

// EXIF's orientation for what irot and imir say, in whose place Pillow puts it.
int transform_orientation(const avifImage& image) {
  const bool turned = (image.transformFlags & AVIF_TRANSFORM_IROT) != 0;
  const bool mirrored = (image.transformFlags & AVIF_TRANSFORM_IMIR) != 0;
  const int angle = turned ? image.irot.angle & 3 : 0;
#if AVIF_VERSION_MAJOR >= 1
  const int axis = mirrored ? image.imir.axis : -1;
#else
  const int axis = mirrored ? image.imir.mode : -1;
#endif
  // [mirroring: none, top to bottom, left to right][quarter turns counter-clockwise, before the mirroring]
  static constexpr int kOrientation[3][4] = {{1, 8, 3, 6}, {4, 5, 2, 7}, {2, 7, 4, 5}};
  return kOrientation[axis + 1][angle];
}

// Whether libyuv has the matrix. What it has not, libavif converts by itself, at full depth in every version.
bool libyuv_knows(const avifImage& image) {
  switch (image.matrixCoefficients) {
    case AVIF_MATRIX_COEFFICIENTS_BT709:
    case AVIF_MATRIX_COEFFICIENTS_UNSPECIFIED:
    case AVIF_MATRIX_COEFFICIENTS_BT470BG:
    case AVIF_MATRIX_COEFFICIENTS_BT601:
    case AVIF_MATRIX_COEFFICIENTS_BT2020_NCL:
      return true;
    case AVIF_MATRIX_COEFFICIENTS_CHROMA_DERIVED_NCL:
      switch (image.colorPrimaries) {
        case AVIF_COLOR_PRIMARIES_BT709:
        case AVIF_COLOR_PRIMARIES_UNSPECIFIED:
        case AVIF_COLOR_PRIMARIES_BT470BG:
        case AVIF_COLOR_PRIMARIES_BT601:
        case AVIF_COLOR_PRIMARIES_BT2020:
          return true;
        default:
          return false;
      }
    default:
      return false;
  }
}

// Whether libavif 1.4 narrows the picture to 8 bits before it converts: where libyuv has no conversion for
// its depth.
bool is_narrowed(const avifImage& image) {
  if (image.depth <= 8 || !libyuv_knows(image)) return false;
  const bool grey = image.yuvFormat == AVIF_PIXEL_FORMAT_YUV400;
  if (image.alphaPlane == nullptr) return !grey;
  if (grey) return true;
  return image.depth == 12 && image.yuvFormat != AVIF_PIXEL_FORMAT_YUV420;
}

void narrow_plane(const uint8_t* in, uint32_t in_stride, uint32_t width, uint32_t height, int shift,
                  uint8_t* out, uint32_t out_stride) {
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      uint16_t value = 0;
      std::memcpy(&value, in + size_t{y} * in_stride + 2 * size_t{x}, 2);
      out[size_t{y} * out_stride + x] = static_cast<uint8_t>(std::min(255, value >> shift));
    }
  }
}

// The picture with the low bits of every sample left out.
Picture narrow(const Source& source, const avifImage& image) {
  Picture narrowed(avifImageCreate(image.width, image.height, 8, image.yuvFormat));
  require(narrowed != nullptr, ErrorCode::kOutOfMemory, "[{}] not enough memory to decode this AVIF picture",
          source.name);
  narrowed->yuvRange = image.yuvRange;
  narrowed->colorPrimaries = image.colorPrimaries;
  narrowed->transferCharacteristics = image.transferCharacteristics;
  narrowed->matrixCoefficients = image.matrixCoefficients;
  narrowed->alphaPremultiplied = image.alphaPremultiplied;
  avifImageAllocatePlanes(narrowed.get(),
                          AVIF_PLANES_YUV | (image.alphaPlane != nullptr ? AVIF_PLANES_A : 0));
  avifPixelFormatInfo format;
  avifGetPixelFormatInfo(image.yuvFormat, &format);
  const int shift = static_cast<int>(image.depth) - 8;
  for (int plane = 0; plane < 3; ++plane) {
    if (image.yuvPlanes[plane] == nullptr) continue;
    require(narrowed->yuvPlanes[plane] != nullptr, ErrorCode::kOutOfMemory,
            "[{}] not enough memory to decode this AVIF picture", source.name);
    const int shift_x = plane > 0 ? format.chromaShiftX : 0, shift_y = plane > 0 ? format.chromaShiftY : 0;
    narrow_plane(image.yuvPlanes[plane], image.yuvRowBytes[plane],
                 (image.width + (1u << shift_x) - 1) >> shift_x,
                 (image.height + (1u << shift_y) - 1) >> shift_y, shift, narrowed->yuvPlanes[plane],
                 narrowed->yuvRowBytes[plane]);
  }
  if (image.alphaPlane != nullptr) {
    require(narrowed->alphaPlane != nullptr, ErrorCode::kOutOfMemory,
            "[{}] not enough memory to decode this AVIF picture", source.name);
    narrow_plane(image.alphaPlane, image.alphaRowBytes, image.width, image.height, shift,
                 narrowed->alphaPlane, narrowed->alphaRowBytes);
  }
  return narrowed;
}

}  // namespace

AvifReader::AvifReader(const Source& source) : source_(source), decoder_(avifDecoderCreate()) {
  require(decoder_ != nullptr, ErrorCode::kOutOfMemory, "[{}] not enough memory to decode this AVIF picture",
          source.name);
  decoder_->maxThreads = 1;
  decoder_->strictFlags = AVIF_STRICT_ENABLED & ~(AVIF_STRICT_PIXI_REQUIRED | AVIF_STRICT_CLAP_VALID);
  // libavif refuses larger sizes by itself while it reads the boxes; what it would say names no limit of
  // ours.
  decoder_->imageSizeLimit = AVIF_DEFAULT_IMAGE_SIZE_LIMIT;
  check(source, decoder_.get(),
        avifDecoderSetIOMemory(decoder_.get(), source.bytes.data(), source.bytes.size()));
  check(source, decoder_.get(), avifDecoderParse(decoder_.get()));
  const avifImage& image = *decoder_->image;
  // Planes of up to two bytes, four of them at most, beside the picture's own bytes.
  check_size(source, image.width, image.height, 12);
  info_.width = image.width;
  info_.height = image.height;
  info_.frames = std::max(decoder_->imageCount, 1);
  info_.mode = decoder_->alphaPresent != 0                   ? "RGBA"
               : image.yuvFormat == AVIF_PIXEL_FORMAT_YUV400 ? "L"
                                                             : "RGB";
  const int turned = transform_orientation(image);
  const int stored = exif_orientation({image.exif.data, image.exif.size});
  const int packet = xmp_orientation({image.xmp.data, image.xmp.size});
  info_.orientation = turned != 1 ? turned : choose_orientation(stored != 0 ? 1 : 0, packet);
}

double AvifReader::end_s(int64_t frame) const {
  avifImageTiming timing{};
  check(source_, decoder_.get(),
        avifDecoderNthImageTiming(decoder_.get(), static_cast<uint32_t>(frame), &timing));
  return timing.pts + timing.duration;
}

const avifImage& AvifReader::decode(int64_t frame) {
  check(source_, decoder_.get(), avifDecoderNthImage(decoder_.get(), static_cast<uint32_t>(frame)));
  const avifImage& image = *decoder_->image;
  require(image.width == info_.width && image.height == info_.height, ErrorCode::kFormat,
          "[{}] broken AVIF: frame {} has {} x {} pixels, its header {} x {}", source_.name, frame,
          image.width, image.height, info_.width, info_.height);
  return image;
}

void AvifReader::read(int64_t frame, Image* image) {
  const avifImage* decoded = &decode(frame);
  Picture narrowed;
  if (is_narrowed(*decoded)) {
    narrowed = narrow(source_, *decoded);
    decoded = narrowed.get();
  }
  *image = new_image(source_, info_.width, info_.height, info_.mode);
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, decoded);
  rgb.depth = 8;
  // With alpha as Pillow asks for it, which has other conversions and undoes a multiplication by it.
  const bool alpha = decoded->alphaPlane != nullptr;
  rgb.format = alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
  std::vector<uint8_t> rgba(alpha ? image->rgb.size() / 3 * 4 : 0);
  rgb.pixels = alpha ? rgba.data() : image->rgb.data();
  rgb.rowBytes = static_cast<uint32_t>(info_.width * (alpha ? 4 : 3));
  check(source_, nullptr, avifImageYUVToRGB(decoded, &rgb));
  for (size_t i = 0; i < rgba.size() / 4; ++i) std::memcpy(&image->rgb[3 * i], &rgba[4 * i], 3);
}

ImageInfo probe_avif(const Source& source) { return AvifReader(source).info(); }

void decode_avif(const Source& source, Image* image) { AvifReader(source).read(0, image); }

}  // namespace vl3::media
