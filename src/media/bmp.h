#pragma once
// A bitmap wherever it lies in a file: behind the 14 bytes of a BMP, as a DIB of its own, or in an icon.

#include <string>

#include "media/image_codec.h"

namespace vl3::media {

inline constexpr uint64_t kBmpInfo = 14;  // where the header with the sizes begins in a BMP

struct BmpBody {
  int64_t width = 0, height = 0;
  uint64_t offset = 0;  // of the pixels in the source
  std::string mode;     // Pillow's
};

// The bitmap whose header of sizes begins at info_at. half: of an icon, whose height counts a mask behind the
// picture. Throws as probe_image and decode_image do.
BmpBody read_bmp_body(const Source& source, uint64_t info_at, bool half);
void decode_bmp_body(const Source& source, uint64_t info_at, bool half, Image* image);

}  // namespace vl3::media
