#include "processor/patches.h"

#include "base/check.h"
#include "base/thread_pool.h"
#include "processor/resize.h"

namespace vl3 {

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

ResizedImage resize_for_patches(ThreadPool& threads, const Image& image, const PixelOptions& options,
                                ResizeBackend backend, int64_t max_pixels) {
  const int64_t factor = options.patch_size * options.merge_size;
  require(image.height > 0 && image.width > 0 &&
              static_cast<int64_t>(image.rgb.size()) ==
                  checked_mul(checked_mul(image.height, image.width, "pixels"), 3, "bytes"),
          ErrorCode::kInvalidArgument, "[processor] a picture of {} x {} pixels comes with {} bytes",
          image.height, image.width, image.rgb.size());
  ResizedImage result{{image.height, image.width}, {}};
  if (options.do_resize) {
    result.size = smart_resize(image.height, image.width, factor, options.shortest_edge, max_pixels);
    result.rgb.resize(static_cast<size_t>(result.size.height * result.size.width * 3));
    resize_rgb(threads, image.rgb.data(), {image.height, image.width}, result.rgb.data(), result.size,
               options.resample, backend);
    return result;
  }
  require(image.height % factor == 0 && image.width % factor == 0 && image.height > 0 && image.width > 0,
          ErrorCode::kInvalidArgument, "[processor] do_resize is off and {} x {} pixels do not divide by {}",
          image.height, image.width, factor);
  result.rgb = image.rgb;
  return result;
}

void write_patches(ThreadPool& threads, const std::vector<const uint8_t*>& frames, Size size,
                   const PixelOptions& options, const std::vector<float>& values, float* target) {
  const int64_t p = options.patch_size, m = options.merge_size, area = p * p;
  const int64_t columns = size.width / p, blocks_across = columns / m;
  const int64_t depth = static_cast<int64_t>(frames.size()), patch_words = 3 * depth * area;
  threads.parallel_for(size.height / p / m, 1, [&](int64_t block_row, int64_t, int) {
    for (int64_t i = 0; i < columns * m; ++i) {
      const int64_t block = i / (m * m), inner = i % (m * m);
      const int64_t y = (block_row * m + inner / m) * p, x = (block % blocks_across * m + inner % m) * p;
      float* patch = target + (block_row * columns * m + i) * patch_words;
      for (int64_t frame = 0; frame < depth; ++frame) {
        for (int64_t dy = 0; dy < p; ++dy) {
          const uint8_t* pixel = frames[static_cast<size_t>(frame)] + ((y + dy) * size.width + x) * 3;
          float* row = patch + frame * area + dy * p;
          for (int64_t dx = 0; dx < p; ++dx, pixel += 3) {
            for (int64_t c = 0; c < 3; ++c)
              row[c * depth * area + dx] = values[static_cast<size_t>(c * 256 + pixel[c])];
          }
        }
      }
    }
  });
}

}  // namespace vl3
