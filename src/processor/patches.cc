#include "processor/patches.h"

#include "base/check.h"

namespace vl3 {
namespace {

// The height of a band, about: some rows of the source are weighed for the bands on both sides of a border,
// and a band should stay in the second-level cache.
constexpr int64_t kBandPixels = 56;

// The values that 8-bit pixels can have after rescaling and normalising, in the backend's arithmetic.
std::vector<float> pixel_values_of(const PixelOptions& options, ResizeBackend backend) {
  const bool fused = backend == ResizeBackend::kTorchvision && options.do_rescale && options.do_normalize;
  std::vector<float> values;
  for (size_t c = 0; c < 3; ++c) {
    // The fast processor folds the factor into mean and deviation, in f32; the other one rescales in f64
    // first.
    const float inverse = static_cast<float>(1.0 / options.rescale_factor);
    const float mean = static_cast<float>(options.image_mean[c]),
                deviation = static_cast<float>(options.image_std[c]);
    for (int v = 0; v < 256; ++v) {
      float value = static_cast<float>(v);
      if (fused) {
        value = (value - mean * inverse) / (deviation * inverse);
      } else {
        if (options.do_rescale && backend == ResizeBackend::kPil)
          value = static_cast<float>(v * options.rescale_factor);
        else if (options.do_rescale)
          value = value * static_cast<float>(options.rescale_factor);
        if (options.do_normalize) value = (value - mean) / deviation;
      }
      values.push_back(value);
    }
  }
  return values;
}

}  // namespace

Size size_of(const Image& picture) {
  require(picture.height > 0 && picture.width > 0 &&
              static_cast<int64_t>(picture.pixels().size()) ==
                  checked_mul(checked_mul(picture.height, picture.width, "pixels"), 3, "bytes"),
          ErrorCode::kInvalidArgument, "[processor] a picture of {} x {} pixels comes with {} bytes",
          picture.width, picture.height, picture.pixels().size());
  return {picture.height, picture.width};
}

Size size_for_patches(Size picture, const PixelOptions& options, int64_t max_pixels) {
  const int64_t factor = options.patch_size * options.merge_size;
  if (options.do_resize)
    return smart_resize(picture.height, picture.width, factor, options.shortest_edge, max_pixels);
  require(
      picture.height % factor == 0 && picture.width % factor == 0 && picture.height > 0 && picture.width > 0,
      ErrorCode::kInvalidArgument, "[processor] do_resize is off and {} x {} pixels do not divide by {}",
      picture.width, picture.height, factor);
  return picture;
}

PatchWriter::PatchWriter(Size from, Size to, const PixelOptions& options, ResizeBackend backend)
    : patch_(options.patch_size),
      depth_(options.temporal_patch_size),
      merge_(options.merge_size),
      band_(std::max<int64_t>(kBandPixels / (patch_ * merge_), 1) * merge_),
      size_(to),
      resizer_(from, to, options.resample, backend),
      values_(pixel_values_of(options, backend)) {}

void PatchWriter::write_band(const uint8_t* rgb, int64_t band, int64_t first, int64_t last, float* target,
                             Resizer::Scratch& scratch) const {
  const int64_t p = patch_, m = merge_, area = p * p, columns = grid_width();
  const int64_t begin = band * band_, end = end_of(band);
  const uint8_t* pixels = resizer_.rows(rgb, begin * p, end * p, scratch);
  float* patch = target + begin * columns * words();
  for (int64_t i = 0; i < (end - begin) * columns; ++i, patch += words()) {
    const int64_t block = i / (m * m), inner = i % (m * m), blocks_across = columns / m;
    const int64_t y = (block / blocks_across * m + inner / m) * p,
                  x = (block % blocks_across * m + inner % m) * p;
    for (int64_t dy = 0; dy < p; ++dy) {
      const uint8_t* pixel = pixels + ((y + dy) * size_.width + x) * 3;
      for (int64_t frame = first; frame < last; ++frame) {
        float* row = patch + frame * area + dy * p;
        for (int64_t dx = 0; dx < p; ++dx) {
          for (int64_t c = 0; c < 3; ++c)
            row[c * depth_ * area + dx] = values_[static_cast<size_t>(c * 256 + pixel[3 * dx + c])];
        }
      }
    }
  }
}

}  // namespace vl3
