#pragma once
// The arithmetic of resizing along one axis: which source positions make up each target position, and how
// much of each.

#include <cstdint>
#include <vector>

#include "vl3/image_processor.h"

namespace vl3 {

// PIL's numbers of its filters.
enum Resample : int64_t { kNearest = 0, kLanczos = 1, kBilinear = 2, kBicubic = 3, kBox = 4, kHamming = 5 };

struct Taps {
  int64_t per_output = 0;        // room for each output's weights
  int precision = 0;             // fractional bits of a weight
  std::vector<int64_t> first;    // [outputs]
  std::vector<int64_t> count;    // [outputs]
  std::vector<int32_t> weights;  // [outputs, per_output]
};

// For every filter but the nearest neighbour.
Taps make_taps(int64_t in, int64_t out, int64_t resample, ResizeBackend backend);

// The source position of each target position for the nearest neighbour: [out].
std::vector<int64_t> nearest_positions(int64_t in, int64_t out, ResizeBackend backend);

}  // namespace vl3
