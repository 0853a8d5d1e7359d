#pragma once
// What the samples of a TIFF mean, and how they become RGB.

#include <vector>

#include "media/image_codec.h"

namespace vl3::media {

struct TiffTags {
  bool big_endian = false;
  int bits = 1, samples = 1, sample_format = 1, photometric = 0, compression = 1;
  bool separate = false;  // one plane after the other
  int extras = 0, first_extra = -1;
};

struct TiffForm {
  enum class Kind { kGrey, kPalette, kRgb, kPremultiplied, kCmyk, kYCbCr };
  Kind kind = Kind::kGrey;
  const char* mode = "";  // Pillow's
  int bits = 8, samples = 1;
  bool separate = false, inverted = false, is_signed = false, is_float = false;
  bool jpeg_to_rgb = false;  // YCbCr that libjpeg turns into RGB
  int channels = 1;          // samples that are looked at
};

// Throws kUnsupported, with the tags, for what Pillow does not read either and for what differs between
// versions of it.
TiffForm tiff_form(const Source& source, const TiffTags& tags);

// Takes rows of samples in the machine's byte order, gives RGB.
class SampleSink {
 public:
  SampleSink(const TiffForm& form, const Palette& palette, Image* image);

  // count pixels from (x, y) on. plane is the channel when planes are separate, else 0.
  void put(const uint8_t* samples, int plane, int64_t x, int64_t y, int64_t count);
  void finish();

 private:
  uint8_t sample(const uint8_t* samples, int64_t index) const;

  const TiffForm& form_;
  const Palette& palette_;
  Image* image_;
  std::vector<uint8_t> mixed_;  // [height, width, 4] for the forms that need four channels at once
};

}  // namespace vl3::media
