#pragma once
// The one thing pictures' metadata is read for: which way is up.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "vl3/image.h"

namespace vl3::media {

// The orientation in an EXIF block (with or without its "Exif\0\0"), as Pillow reads it: 0 where the tag is
// absent, 1 where it is there but no value of 1 to 8. A block that is broken has no orientation: metadata
// never makes a picture unreadable.
int exif_orientation(std::span<const uint8_t> block);

// The first tiff:Orientation of an XMP packet, 0 where there is none. Pillow's fallback after EXIF.
int xmp_orientation(std::span<const uint8_t> packet);

// The orientation to use: EXIF's, else XMP's, else 1.
int choose_orientation(int exif, int xmp);

// The picture turned as orientation (2 to 8) says: 2 mirrored, 3 by 180 degrees, 4 upside down, 5 transposed,
// 6 by 90 clockwise, 7 transversed, 8 by 90 counter-clockwise. 1 leaves it alone.
Image orient(Image image, int orientation);

}  // namespace vl3::media
