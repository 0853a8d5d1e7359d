#pragma once
// Linear interpolation along one axis of an image, in the integers of FFmpeg's scaler.

#include <cstdint>
#include <span>
#include <vector>

namespace vl3 {

// Output i is the sum over k of weights[i * taps + k] times sample first[i] + k; weights of one output add up
// to the `one` that they were made with, up to a rounding.
struct LinearTaps {
  int taps = 1;
  std::vector<int64_t> first;    // [targets], each with first + taps <= sources where taps <= sources
  std::vector<int32_t> weights;  // [targets, taps]

  std::span<const int32_t> of(int64_t i) const {
    return std::span(weights).subspan(static_cast<size_t>(i * taps), static_cast<size_t>(taps));
  }
};

// How `sources` samples become `targets` ones: interpolation where there are more of them, a triangle over
// the neighbours where there are fewer. Positions are those of the first sample and the first output within
// their pixel, in 1/256 of it (128: the middle). Samples beyond an end are the last one.
// Bit by bit what libswscale 5 to 9 weighs with under SWS_BILINEAR, small sizes included, where it takes the
// nearest sample (fewer than five) though two lie near.
LinearTaps linear_taps(int64_t sources, int64_t targets, int source_position, int target_position,
                       int32_t one);

}  // namespace vl3
