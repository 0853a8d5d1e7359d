#pragma once
// Which frames of a batch have to be encoded, and which of their tokens anybody reads. A frame equal to an
// earlier one is encoded once; tokens that compression drops are not finished.

#include <cstdint>
#include <span>
#include <vector>

#include "model/vision_encoder.h"

namespace vl3 {

struct FramePlan {
  struct Frame {
    Grid grid;                    // {1, h, w, merge}
    int64_t first_patch = 0;      // its rows of pixel_values
    std::vector<int64_t> tokens;  // those that are read, ascending
  };
  std::vector<Frame> frames;  // the distinct ones
  // For each row of the result, its row among the tokens of frames, one frame behind the other.
  std::vector<int64_t> rows;
  bool in_order() const;  // rows are 0, 1, 2, …
};

// The rows of a mask [V] of one byte a token that are not zero. Throws kInvalidArgument unless V is tokens.
std::vector<int64_t> kept_rows(const Tensor& keep, int64_t tokens);

// Frames are equal when their grids, merge sizes and pixels are, to the bit. Throws kInvalidArgument when
// keep has another length than the grids have tokens.
FramePlan plan_frames(const Tensor& pixel_values, std::span<const Grid> grids, const FrameOptions& options);

}  // namespace vl3
