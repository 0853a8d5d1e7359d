#include "vl3/image_processor.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "base/one_of.h"
#include "processor/config_files.h"
#include "processor/process_pictures.h"

namespace vl3 {
namespace {

// Python's round: halves go to the even neighbour.
int64_t round_half_even(double x) { return static_cast<int64_t>(std::nearbyint(x)); }

std::array<double, 3> triple(const Json& value, const std::string& where) {
  std::array<double, 3> result{};
  if (value.is_number()) {
    result.fill(value.get<double>());
    return result;
  }
  require(value.is_array() && value.size() == 3 &&
              std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_number(); }),
          ErrorCode::kFormat, "{} should be a number or three of them, not {}", where, shown(value));
  for (size_t i = 0; i < 3; ++i) result[i] = value[i].get<double>();
  return result;
}

constexpr int64_t kMaxArea = int64_t{1} << 40;
constexpr int64_t kMaxSide = int64_t{1} << 30, kMaxResizedArea = int64_t{1} << 28;  // 16384 x 16384 pixels

// Areas under any of their names, in "size" or beside it.
void merge_areas(const JsonView& view, PixelOptions& options) {
  const auto areas = [&](const JsonView& from) {
    options.shortest_edge = from.integer("shortest_edge", options.shortest_edge, 1, kMaxArea);
    options.longest_edge = from.integer("longest_edge", options.longest_edge, 1, kMaxArea);
    options.shortest_edge = from.integer("min_pixels", options.shortest_edge, 1, kMaxArea);
    options.longest_edge = from.integer("max_pixels", options.longest_edge, 1, kMaxArea);
  };
  if (view.has("size")) {
    const JsonView size = view.child("size");
    for (const auto& [key, value] : size.json().items()) {
      require(key == "shortest_edge" || key == "longest_edge" || key == "min_pixels" || key == "max_pixels",
              ErrorCode::kInvalidArgument,
              "[{}] \"size\" has the key \"{}\"; it should have \"shortest_edge\" and \"longest_edge\", "
              "areas in pixels",
              view.origin(), key);
    }
    const bool low = size.has("shortest_edge") || size.has("min_pixels") || view.has("min_pixels") ||
                     view.has("shortest_edge");
    const bool high = size.has("longest_edge") || size.has("max_pixels") || view.has("max_pixels") ||
                      view.has("longest_edge");
    require(low && high, ErrorCode::kInvalidArgument,
            "[{}] \"size\" should have both \"shortest_edge\" and \"longest_edge\", not {}", view.origin(),
            shown(size.json()));
    areas(size);
  }
  areas(view);
}

}  // namespace

std::vector<std::string> PixelOptions::merge(const Json& json, std::string_view origin) {
  const JsonView view(json, std::string(origin));
  do_resize = view.boolean("do_resize", do_resize);
  do_rescale = view.boolean("do_rescale", do_rescale);
  do_normalize = view.boolean("do_normalize", do_normalize);
  do_convert_rgb = view.boolean("do_convert_rgb", do_convert_rgb);
  resample = view.integer("resample", resample, 0, 5);
  rescale_factor = view.number("rescale_factor", rescale_factor);
  require(std::isfinite(rescale_factor) && rescale_factor != 0, ErrorCode::kFormat,
          "[{}] \"rescale_factor\" is {}", origin, rescale_factor);
  patch_size = view.integer("patch_size", patch_size, 1, 1024);
  temporal_patch_size = view.integer("temporal_patch_size", temporal_patch_size, 1, 64);
  merge_size = view.integer("merge_size", merge_size, 1, 64);
  for (const char* key : {"image_mean", "image_std"}) {
    const Json* value = view.find(key);
    if (value == nullptr) continue;
    (std::string_view(key) == "image_mean" ? image_mean : image_std) =
        triple(*value, fmt::format("[{}] \"{}\"", origin, key));
  }
  for (const double deviation : image_std) {
    require(deviation != 0, ErrorCode::kFormat, "[{}] \"image_std\" has a zero", origin);
  }
  merge_areas(view, *this);

  // The last ones say how the reference holds its data, which changes nothing here.
  constexpr std::string_view kKnown[] = {
      "do_resize",         "do_rescale",     "do_normalize",      "do_convert_rgb",
      "resample",          "patch_size",     "merge_size",        "temporal_patch_size",
      "rescale_factor",    "image_mean",     "image_std",         "size",
      "shortest_edge",     "longest_edge",   "min_pixels",        "max_pixels",
      "do_center_crop",    "do_pad",         "crop_size",         "pad_size",
      "default_to_square", "data_format",    "input_data_format", "device",
      "disable_grouping",  "return_tensors", "return_metadata"};
  for (const char* key :
       {"do_center_crop", "do_pad"}) {  // the reference's base classes have them, its model does not
    require(!view.boolean(key, false), ErrorCode::kUnsupported,
            "[{}] \"{}\" is not something this model's processor does", origin, key);
  }
  std::vector<std::string> others;
  for (const auto& [key, value] : json.items()) {
    if (!is_one_of(key, kKnown)) others.push_back(key);
  }
  return others;
}

Size smart_resize(int64_t height, int64_t width, int64_t factor, int64_t min_pixels, int64_t max_pixels) {
  require(factor > 0 && min_pixels > 0 && max_pixels > 0, ErrorCode::kInvalidArgument,
          "[resize] factor {}, from {} to {} pixels: each should be above 0", factor, min_pixels, max_pixels);
  require(height > 0 && width > 0, ErrorCode::kInvalidArgument, "[resize] {} x {} pixels are no picture",
          width, height);
  const double h = static_cast<double>(height), w = static_cast<double>(width),
               f = static_cast<double>(factor);
  require(std::max(h, w) / std::min(h, w) <= 200, ErrorCode::kInvalidArgument,
          "[resize] absolute aspect ratio must be smaller than 200, got {} ({} x {} pixels)",
          std::max(h, w) / std::min(h, w), width, height);
  Size size{round_half_even(h / f) * factor, round_half_even(w / f) * factor};
  if (size.height * size.width > max_pixels) {
    const double beta = std::sqrt(h * w / static_cast<double>(max_pixels));
    size.height = std::max(factor, static_cast<int64_t>(std::floor(h / beta / f)) * factor);
    size.width = std::max(factor, static_cast<int64_t>(std::floor(w / beta / f)) * factor);
  } else if (size.height * size.width < min_pixels) {
    const double beta = std::sqrt(static_cast<double>(min_pixels) / (h * w));
    size.height = static_cast<int64_t>(std::ceil(h * beta / f)) * factor;
    size.width = static_cast<int64_t>(std::ceil(w * beta / f)) * factor;
  }
  require(size.height <= kMaxSide && size.width <= kMaxSide && size.height * size.width <= kMaxResizedArea,
          ErrorCode::kLimitExceeded,
          "[resize] {} x {} pixels would become {} x {}: lower the area that is asked for", width, height,
          size.width, size.height);
  return size;
}

ImageProcessor ImageProcessor::from_pretrained(const std::filesystem::path& folder) {
  return ImageProcessor(read_image_options(model_folder(folder)), kBackend);
}

ImageProcessorFast ImageProcessorFast::from_pretrained(const std::filesystem::path& folder) {
  return ImageProcessorFast(read_image_options(model_folder(folder)));
}

int64_t ImageProcessor::get_number_of_image_patches(int64_t height, int64_t width) const {
  const int64_t factor = options_.patch_size * options_.merge_size;
  const Size size = options_.do_resize
                        ? smart_resize(height, width, factor, options_.shortest_edge, options_.longest_edge)
                        : Size{height, width};
  return (size.height / options_.patch_size) * (size.width / options_.patch_size);
}

ImageFeatures ImageProcessor::preprocess(ThreadPool& threads, std::span<const Image> images) const {
  std::vector<PictureInput> inputs;
  for (const Image& image : images) inputs.push_back(picture_input(image));
  return process_pictures(threads, options_, backend_, inputs);
}

}  // namespace vl3
