#pragma once
// A PNG's metadata, read from its chunks directly: libpng gives it only up to the first row, and the
// orientation may come after the last.

#include "media/image_codec.h"

namespace vl3::media {

// The orientation from eXIf, from a "Raw profile type exif" text, or from an XMP text; 1 without one. Broken
// or cut-off chunks end the search without an error: the pixels decide whether the file is good.
int png_orientation(const Source& source);

}  // namespace vl3::media
