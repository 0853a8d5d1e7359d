#pragma once
// Clips that were recorded with the camera on its side, or mirrored.

extern "C" {
#include <libavformat/avformat.h>
}

#include <array>
#include <cstdint>

#include "vl3/image.h"
#include "vl3/video.h"

namespace vl3 {

// What a display matrix asks for: row by row, of a container's 3 x 3 numbers; to the nearest quarter.
ClipTurn clip_turn(const std::array<int32_t, 9>& matrix);
// The stream's display matrix; no turn where it has none.
ClipTurn clip_turn(const AVStream& stream);

// Turns the picture, which changes its size where the number of quarters is odd.
void turn(const ClipTurn& by, Image& image);

}  // namespace vl3
