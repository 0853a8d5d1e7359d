#pragma once
// 8-bit pixels → normalised patches.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "processor/resize.h"
#include "vl3/image_processor.h"

namespace vl3 {

// Throws kInvalidArgument for a picture whose bytes are not as many as its sides say.
Size size_of(const Image& picture);

// What a picture is resized to. max_pixels: the largest area, in place of options.longest_edge. Throws
// kInvalidArgument for a picture that smart_resize refuses, and where sides that are not resized do not
// divide into merged patches.
Size size_for_patches(Size picture, const PixelOptions& options, int64_t max_pixels);

// How pictures of one size become patches: resized as the options say (or left as they are), normalised in
// the backend's arithmetic, cut up. Works in bands, a few rows of patches each, in any order, by any thread.
class PatchWriter {
 public:
  // From pictures of one size to another, which size_for_patches gave.
  PatchWriter(Size from, Size to, const PixelOptions& options, ResizeBackend backend);

  int64_t grid_height() const noexcept { return size_.height / patch_; }  // in patches
  int64_t grid_width() const noexcept { return size_.width / patch_; }
  int64_t patches() const noexcept { return grid_height() * grid_width(); }
  int64_t words() const noexcept { return 3 * depth_ * patch_ * patch_; }  // numbers of a patch
  int64_t bands() const noexcept { return (grid_height() + band_ - 1) / band_; }

  // Of how many of the picture's rows, from the top, a band and those above it are made.
  int64_t rows_needed(int64_t band) const noexcept { return resizer_.rows_needed(end_of(band) * patch_); }

  // rgb [from.height, from.width, 3] → what frames [first, last) of the temporal patch add to a band of
  // target [patches(), words()], in merge-block order.
  void write_band(const uint8_t* rgb, int64_t band, int64_t first, int64_t last, float* target,
                  Resizer::Scratch& scratch) const;

 private:
  int64_t end_of(int64_t band) const noexcept { return std::min((band + 1) * band_, grid_height()); }

  int64_t patch_, depth_, merge_;
  int64_t band_;  // rows of patches in a band, a multiple of merge_
  Size size_;     // after resizing
  Resizer resizer_;
  std::vector<float> values_;  // [3, 256]: what 8-bit pixels are after rescaling and normalising
};

}  // namespace vl3
