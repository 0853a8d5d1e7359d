#pragma once
// Frames whose rows of colour are fewer than their rows of pixels (4:2:0, 4:4:0, 4:1:0), at 8 to 16 bits.

extern "C" {
#include <libavutil/pixfmt.h>
}

#include <array>
#include <cstdint>
#include <vector>

namespace vl3 {

// A frame, or every second row of one: a field. Planes are lent.
struct FrameView {
  AVPixelFormat format = AV_PIX_FMT_NONE;
  int width = 0, height = 0;               // of the field
  int frame_height = 0;                    // of the frame that it is of
  int first_row = 0, row_step = 1;         // its rows within the planes
  std::array<const uint8_t*, 4> planes{};  // of the frame
  std::array<int, 4> strides{};            // bytes between the frame's rows; may be negative
  // Where the first sample of chroma lies, in 1/256 of a pixel from the middle of the first one to the right
  // and down; read where chroma is subsampled in that direction.
  int chroma_x = 0, chroma_y = 0;
  bool full_range = false;
  std::array<int, 4> coefficients{};  // as sws_getCoefficients() gives them
};

// Whether chroma_rows_to_rgb() takes such a frame: little- or big-endian planes, U and V apart or in turns,
// with fewer rows of chroma than of luma. 8-bit planar 4:2:0 of an even height is left to libswscale, which
// takes the nearest row of chroma for it in every version.
bool has_chroma_rows(const FrameView& frame);

// RGB24 of rows `stride` bytes apart. Chroma is interpolated to every row from where the frame says that its
// samples lie, before anything is rounded to 8 bits, as libswscale 9 does; version 6 takes the nearest row
// and differs by more than a hundred levels at edges of colour.
void chroma_rows_to_rgb(const FrameView& frame, uint8_t* rgb, int64_t stride);

}  // namespace vl3
