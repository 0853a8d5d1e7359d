#pragma once
// 8-bit pixels → normalised patches.

#include <cstdint>
#include <functional>
#include <vector>

#include "vl3/image_processor.h"

namespace vl3 {

// The 3 · 256 values that 8-bit pixels can have after rescaling and normalising, in the backend's arithmetic.
std::vector<float> pixel_values_of(const PixelOptions& options, ResizeBackend backend);

// A picture resized as the options say (or as it is): 8-bit RGB and its size.
struct ResizedImage {
  Size size;
  std::vector<uint8_t> rgb;  // [height, width, 3]
};
// max_pixels: the largest area, in place of options.longest_edge. Throws kInvalidArgument where sides that
// are not resized do not divide into merged patches.
ResizedImage resize_for_patches(ThreadPool& threads, const Image& image, const PixelOptions& options,
                                ResizeBackend backend, int64_t max_pixels);

// Patches of `temporal_patch_size` frames of one size, [h/p · w/p, 3 · frames · p · p] in merge-block order,
// at target.
void write_patches(ThreadPool& threads, const std::vector<const uint8_t*>& frames, Size size,
                   const PixelOptions& options, const std::vector<float>& values, float* target);

// ImageProcessor::preprocess of pictures that come one at a time: image(i) is asked for once, in order, and
// looked at until the next one is asked for.
ImageFeatures preprocess_images(ThreadPool& threads, const PixelOptions& options, ResizeBackend backend,
                                size_t count, const std::function<const Image&(size_t)>& image);

}  // namespace vl3
