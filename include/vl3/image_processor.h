#pragma once
// Stage 2 for pictures: pixels → patches. Reference: VideoLlama3ImageProcessorPil (ImageProcessor here) and
// VideoLlama3ImageProcessor (ImageProcessorFast), which resize with Pillow's and torchvision's arithmetic.

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/export.h"
#include "vl3/image.h"
#include "vl3/json.h"
#include "vl3/tensor.h"

namespace vl3 {

class ThreadPool;

// How pixels become patches, under the reference's names. Defaults are those of its classes.
struct VL3_API PixelOptions {
  bool do_resize = true;
  int64_t resample = 3;  // PIL's number of the filter; 3, bicubic, is the only one
  bool do_rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool do_normalize = true;
  std::array<double, 3> image_mean = {0.5, 0.5, 0.5};
  std::array<double, 3> image_std = {0.5, 0.5, 0.5};
  bool do_convert_rgb = true;
  int64_t patch_size = 14;
  int64_t temporal_patch_size = 1;
  int64_t merge_size = 1;
  int64_t shortest_edge = 56 * 56;        // smallest area after resizing, in pixels
  int64_t longest_edge = 28 * 28 * 1280;  // largest area; of a clip: of all its frames together

  // The keys of json over these: the reference's names, `size` as {"shortest_edge", "longest_edge"}, and the
  // areas by themselves as "shortest_edge"/"longest_edge" or "min_pixels"/"max_pixels". Keys it does not know
  // are left to the caller: they come back. Throws kFormat or kUnsupported, naming origin, key and value.
  std::vector<std::string> merge(const Json& json, std::string_view origin);
  bool operator==(const PixelOptions&) const = default;
};

// The size a picture is resized to: sides divisible by factor, area within [min_pixels, max_pixels], the
// aspect kept as well as that allows. Reference: smart_resize. Throws kInvalidArgument for an aspect ratio
// above 200 or an empty picture.
struct Size {
  int64_t height = 0, width = 0;
  bool operator==(const Size&) const = default;
};
VL3_API Size smart_resize(int64_t height, int64_t width, int64_t factor, int64_t min_pixels,
                          int64_t max_pixels);

struct ImageFeatures {
  Tensor pixel_values;       // [P, 3·temporal·p·p] f32 in merge-block order
  Tensor image_grid_thw;     // [pictures, 3] i64
  Tensor image_merge_sizes;  // [pictures] i64
};

enum class ResizeBackend { kPil, kTorchvision };

class VL3_API ImageProcessor {
 public:
  static constexpr ResizeBackend kBackend = ResizeBackend::kPil;
  explicit ImageProcessor(PixelOptions options = {}, ResizeBackend backend = kBackend)
      : options_(options), backend_(backend) {}
  // preprocessor_config.json, or "image_processor" in processor_config.json; defaults where both are absent.
  static ImageProcessor from_pretrained(const std::filesystem::path& folder);

  const PixelOptions& options() const noexcept { return options_; }
  ImageFeatures preprocess(ThreadPool& threads, std::span<const Image> images) const;
  // Patches of a picture of this size, from the size alone.
  int64_t get_number_of_image_patches(int64_t height, int64_t width) const;

 protected:
  PixelOptions options_;
  ResizeBackend backend_;
};

// The same with torchvision's arithmetic.
class VL3_API ImageProcessorFast : public ImageProcessor {
 public:
  static constexpr ResizeBackend kBackend = ResizeBackend::kTorchvision;
  explicit ImageProcessorFast(PixelOptions options = {}) : ImageProcessor(options, kBackend) {}
  static ImageProcessorFast from_pretrained(const std::filesystem::path& folder);
};

}  // namespace vl3
