#pragma once
// Motion JPEG without a container: one JPEG file behind the other, as cameras write it.

#include "vl3/media_source.h"

namespace vl3 {

// By its content: another JPEG begins where the first one ends, and the first one does not say that the
// others are versions of it (CIPA DC-007: thumbnails, gain maps, the other eye). False for what is no file.
bool is_row_of_jpegs(const MediaSource& source);

}  // namespace vl3
