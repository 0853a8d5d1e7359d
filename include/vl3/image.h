#pragma once
// Pictures: PNG, JPEG, WebP, GIF, BMP, DIB, TIFF, AVIF, HEIC, JPEG XL, JPEG 2000, PNM, ICO, CUR, TGA, QOI,
// PCX, SGI and DDS, recognised by their bytes and never by their name, decoded to the 8-bit RGB that Pillow's
// Image.open(f).convert("RGB") gives, byte for byte (docs/decisions/media_pictures.md lists the few corners
// where other versions of a codec could differ, docs/numerics.md by how much).

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/export.h"
#include "vl3/media_limits.h"

namespace vl3 {

enum class ImageFormat {
  kPng,
  kJpeg,
  kWebp,
  kGif,
  kBmp,
  kTiff,
  kAvif,
  kHeif,
  kJxl,
  kJpeg2000,
  kPnm,
  kIco,
  kCur,
  kTga,
  kQoi,
  kDib,
  kPcx,
  kSgi,
  kDds
};

// "png", "jpeg", "webp", "gif", "bmp", "tiff", "avif", "heif", "jxl", "jpeg2000", "pnm", "ico", …
VL3_API const char* to_string(ImageFormat format) noexcept;

struct Image {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> rgb;  // [height, width, 3], rows from the top
  std::string mode;          // what Pillow calls the file's own form: "RGB", "P", "I;16", …
  // Pixels that lie elsewhere, of the same layout and size, in place of rgb, which is empty then: nothing is
  // copied, and whoever lends them is told of the last use by the pointer's deleter, on any thread. Null:
  // rgb.
  std::shared_ptr<const uint8_t> lent = nullptr;

  // [height, width, 3], wherever they lie.
  std::span<const uint8_t> pixels() const noexcept {
    if (lent == nullptr) return rgb;
    return {lent.get(), static_cast<size_t>(height) * static_cast<size_t>(width) * 3};
  }
};

// What the header says, before any pixel is decoded.
struct ImageInfo {
  int64_t height = 0;  // as decode_image would give it: after the orientation, when that is applied
  int64_t width = 0;
  ImageFormat format = ImageFormat::kPng;
  std::string mode;     // Pillow's mode
  int orientation = 1;  // EXIF or TIFF orientation, 1 to 8; 1 where absent or out of range
  // Frames of an animated GIF, WebP or AVIF, pages of a TIFF, pictures of a HEIC; 1 otherwise. decode_image
  // gives the first.
  int64_t frames = 1;
};

// Decodes the first frame of the picture. name stands for it in messages ("[name] …", with where it broke:
// a byte, a row or a chunk). apply_exif_orientation turns the picture upright as ImageOps.exif_transpose
// does; the reference's image processor doesn't, so its callers say false where they need its exact result.
// (TIFF and HEIC pictures are upright either way, as Pillow makes them when it loads them.)
// Alpha is dropped, not composited. Throws kFormat for bytes that are no picture, by the name of what they
// are
// ("is a Git LFS pointer: …"), broken or truncated; kUnsupported for what the codecs do not do (12-bit JPEG,
// …) and for formats whose library this build lacks, by name; kLimitExceeded.
VL3_API Image decode_image(std::span<const std::byte> bytes, const MediaLimits& limits, std::string_view name,
                           bool apply_exif_orientation = true);

// decode_image of a file; also kNotFound and kIo.
VL3_API Image read_image(const std::filesystem::path& path, const MediaLimits& limits = {},
                         bool apply_exif_orientation = true);

// How many rows of a picture, from the top, are decoded: more each time.
using RowsReady = std::function<void(int64_t rows)>;

// The same into *image, whose size is set and whose rows are never written again when ready tells of them.
// That is for pictures whose format begins with the first row, and which are not turned: others come all at
// once, and ready is not called. Where it throws *image keeps what it has by then.
VL3_API void decode_image(std::span<const std::byte> bytes, const MediaLimits& limits, std::string_view name,
                          bool apply_exif_orientation, Image* image, const RowsReady& ready);
VL3_API void read_image(const std::filesystem::path& path, const MediaLimits& limits,
                        bool apply_exif_orientation, Image* image, const RowsReady& ready);

// The header alone: costs no more than reading the file's first bytes, its chunks' headers and its EXIF
// block.
VL3_API ImageInfo probe_image(std::span<const std::byte> bytes, const MediaLimits& limits,
                              std::string_view name, bool apply_exif_orientation = true);
VL3_API ImageInfo probe_image(const std::filesystem::path& path, const MediaLimits& limits = {},
                              bool apply_exif_orientation = true);

// The format these bytes begin like, by the first 64 of them; false where they begin like none.
VL3_API bool sniff_image(std::span<const std::byte> bytes, ImageFormat* format) noexcept;

// What bytes are that are no picture, as a phrase behind "is ": "an SVG drawing: …", with what to do; empty
// for a picture, and where nothing is known of them. By the first kilobyte.
VL3_API std::string describe_foreign_file(std::span<const std::byte> bytes);

// The libraries that decode pictures, for people to read.
struct PictureLibrary {
  const char* formats;  // "AVIF"
  const char* library;  // "libavif"
  std::string version;  // empty where this build was made without it
};
VL3_API std::vector<PictureLibrary> picture_libraries();

// An animated GIF as a clip: every frame composited over the ones before it, with disposal and transparency,
// as Pillow's seek() and convert("RGB") do. One canvas in memory however long the animation is.
class VL3_API GifReader {
 public:
  // bytes must outlive the reader. Walks the blocks once, decoding nothing. Throws as decode_image does, and
  // kLimitExceeded above max_frames or max_duration_s.
  GifReader(std::span<const std::byte> bytes, const MediaLimits& limits, std::string name);
  ~GifReader();
  GifReader(GifReader&&) noexcept;
  GifReader& operator=(GifReader&&) noexcept;

  // The size of every frame: the screen's. A frame that reaches beyond the screen enlarges the picture from
  // then on, as in Pillow; these are the largest size reached, and frames before it are smaller.
  int64_t height() const noexcept;
  int64_t width() const noexcept;
  int64_t total_frames() const noexcept;
  // When frame i starts, and where the last one ends, in milliseconds: total_frames() + 1 values. The file
  // counts in hundredths of a second, so that they are exact. A delay of zero stays zero.
  const std::vector<int64_t>& timestamps_ms() const noexcept;

  // The next frame, in order; false after the last. Throws kFormat where the frame's data is broken.
  bool next(Image* image);
  // Back to the first frame.
  void rewind();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vl3
