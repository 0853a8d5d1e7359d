#pragma once
// Frames of more than 8 bits, as the reference's converter narrows them.

extern "C" {
#include <libavutil/frame.h>
}

#include <cstdint>
#include <vector>

namespace vl3 {

// A frame as 8-bit 4:2:2 planes.
struct NarrowFrame {
  int64_t luma_stride = 0, chroma_stride = 0;
  std::vector<uint8_t> y, u, v;
};

// Whether narrow() takes frames of this pixel format: planar 4:2:0 in 16-bit words of 9 to 16 bits.
bool is_deep_420(int pixel_format);

// Chroma is interpolated to every row from where the frame says its samples lie (left of the pairs where it
// does not say) before anything is rounded to 8 bits; the libraries of other versions take the nearest row
// and differ by tens of levels at edges of colour.
void narrow(const AVFrame& frame, NarrowFrame& target);

}  // namespace vl3
