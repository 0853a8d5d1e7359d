// HEIC through libheif: the primary picture, turned and cropped as its boxes say. Newer versions of libheif,
// which Pillow's plugin brings, make RGB of full-range 4:2:0 in integers; older ones in floats, which
// heif_colours mends.
#include <libheif/heif.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "media/heif_colours.h"
#include "media/image_codec.h"

namespace vl3::media {
namespace {

using Context = std::unique_ptr<heif_context, decltype([](heif_context* p) { heif_context_free(p); })>;
using Handle =
    std::unique_ptr<heif_image_handle, decltype([](heif_image_handle* p) { heif_image_handle_release(p); })>;
using Decoded = std::unique_ptr<heif_image, decltype([](heif_image* p) { heif_image_release(p); })>;
using Options = std::unique_ptr<heif_decoding_options,
                                decltype([](heif_decoding_options* p) { heif_decoding_options_free(p); })>;
using Profile =
    std::unique_ptr<heif_color_profile_nclx,
                    decltype([](heif_color_profile_nclx* p) { heif_nclx_color_profile_free(p); })>;

void check(const Source& source, const heif_error& error) {
  if (error.code == heif_error_Ok) return;
  const bool unsupported =
      error.code == heif_error_Unsupported_feature || error.code == heif_error_Unsupported_filetype;
  fail(unsupported ? ErrorCode::kUnsupported : ErrorCode::kFormat, "[{}] {} HEIC: {}", source.name,
       unsupported ? "this" : "broken", error.message != nullptr ? error.message : "its data is corrupt");
}

class HeifReader {
 public:
  explicit HeifReader(const Source& source) : source_(source), context_(heif_context_alloc()) {
    require(context_ != nullptr, ErrorCode::kOutOfMemory,
            "[{}] not enough memory to decode this HEIC picture", source.name);
    heif_context_set_max_decoding_threads(context_.get(), 0);  // in this thread
    check(source, heif_context_read_from_memory_without_copy(context_.get(), source.bytes.data(),
                                                             source.bytes.size(), nullptr));
    heif_image_handle* raw = nullptr;
    check(source, heif_context_get_primary_image_handle(context_.get(), &raw));
    handle_.reset(raw);
    info_.width = heif_image_handle_get_width(raw);
    info_.height = heif_image_handle_get_height(raw);
    // libheif holds planes of two bytes at most and a copy of them while it converts.
    check_size(source, info_.width, info_.height, 12);
    // A tile larger than the picture is cropped, but not one of any size.
    constexpr int64_t kTile = 2048;
    heif_context_set_maximum_image_size_limit(
        context_.get(), static_cast<int>(std::max({info_.width, info_.height, kTile}) + 1));
    info_.frames = std::max(1, heif_context_get_number_of_top_level_images(context_.get()));
    const bool alpha = heif_image_handle_has_alpha_channel(raw) != 0;
    const bool grey = !alpha && find_chroma(source.bytes) == HevcChroma::kGrey;
    const bool wide = heif_image_handle_get_luma_bits_per_pixel(raw) > 8;
    info_.mode = std::string(!grey ? (alpha ? "RGBA" : "RGB") : wide ? "I;16" : "L");
  }

  const ImageInfo& info() const { return info_; }
  // As Pillow's plugin does the picture may have another size than its header says.
  Decoded decode(heif_colorspace colours, heif_chroma chroma, bool to_8_bits) const {
    const Options options(heif_decoding_options_alloc());
    require(options != nullptr, ErrorCode::kOutOfMemory, "[{}] not enough memory to decode this HEIC picture",
            source_.name);
    options->convert_hdr_to_8bit = to_8_bits ? 1 : 0;
    heif_image* raw = nullptr;
    check(source_, heif_decode_image(handle_.get(), &raw, colours, chroma, options.get()));
    return Decoded(raw);
  }
  // The matrix of the colours, from the file's own box; 2 (unspecified) where there is none.
  int matrix() const {
    heif_color_profile_nclx* raw = nullptr;
    const heif_error error = heif_image_handle_get_nclx_color_profile(handle_.get(), &raw);
    const Profile profile(raw);  // is there also where its values are unknown
    return error.code == heif_error_Ok ? static_cast<int>(profile->matrix_coefficients) : 2;
  }

 private:
  const Source& source_;
  Context context_;
  Handle handle_;
  ImageInfo info_;
};

HeifPlane plane_of(const Source& source, const heif_image* image, heif_channel channel) {
  HeifPlane plane;
  int stride = 0;
  plane.bytes = heif_image_get_plane_readonly(image, channel, &stride);
  plane.stride = stride;
  plane.bits = heif_image_get_bits_per_pixel_range(image, channel);
  plane.width = heif_image_get_width(image, channel);
  plane.height = heif_image_get_height(image, channel);
  require(
      plane.bytes != nullptr && plane.width > 0 && plane.height > 0 && plane.bits >= 8 && plane.bits <= 16,
      ErrorCode::kFormat, "[{}] broken HEIC: a plane of it is missing", source.name);
  return plane;
}

// Pillow takes grey of more than 8 bits for its "I;16", which fills 16 bits and is then clipped at 255.
void put_grey(const Source& source, const HeifPlane& grey, Image* image) {
  *image = new_image(source, grey.width, grey.height, grey.bits > 8 ? "I;16" : "L");
  uint8_t* rgb = image->rgb.data();
  for (int64_t y = 0; y < grey.height; ++y) {
    for (int64_t x = 0; x < grey.width; ++x, rgb += 3) {
      const int value = grey.at(x, y);
      const int wide = grey.bits > 8 ? value << (16 - grey.bits) : value;
      rgb[0] = rgb[1] = rgb[2] = static_cast<uint8_t>(std::min(255, wide));
    }
  }
}

void put_interleaved(const Source& source, const heif_image* decoded, const std::string& mode, Image* image) {
  const HeifPlane plane = plane_of(source, decoded, heif_channel_interleaved);
  *image = new_image(source, plane.width, plane.height, mode);
  const auto row_bytes = static_cast<size_t>(plane.width) * 3;
  for (int64_t y = 0; y < plane.height; ++y)
    std::memcpy(&image->rgb[static_cast<size_t>(y) * row_bytes], plane.bytes + y * plane.stride, row_bytes);
}

}  // namespace

ImageInfo probe_heif(const Source& source) { return HeifReader(source).info(); }

void decode_heif(const Source& source, Image* image) {
  const HeifReader reader(source);
  const Decoded first = reader.decode(heif_colorspace_undefined, heif_chroma_undefined, false);
  const heif_colorspace colours = heif_image_get_colorspace(first.get());
  if (colours == heif_colorspace_monochrome)
    return put_grey(source, plane_of(source, first.get(), heif_channel_Y), image);
  const std::string& mode = reader.info().mode;
  if (colours != heif_colorspace_RGB || heif_image_get_chroma_format(first.get()) != heif_chroma_444) {
    const Decoded rgb = reader.decode(heif_colorspace_RGB, heif_chroma_interleaved_RGB, true);
    return put_interleaved(source, rgb.get(), mode, image);
  }
  const HeifColours planes{plane_of(source, first.get(), heif_channel_R),
                           plane_of(source, first.get(), heif_channel_G),
                           plane_of(source, first.get(), heif_channel_B)};
  require(planes.same_size(), ErrorCode::kFormat, "[{}] broken HEIC: its planes differ in size", source.name);
  *image = new_image(source, planes.red.width, planes.red.height, mode);
  narrow_colours(planes, image);
  if (find_chroma(source.bytes) == HevcChroma::k420) convert_full_range_420(planes, reader.matrix(), image);
}

}  // namespace vl3::media
