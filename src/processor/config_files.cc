#include "processor/config_files.h"

#include "base/file.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMaxConfigBytes = 16u << 20;

// Areas in tokens, as the original release writes them.
Json in_pixels(Json json, const std::string& origin) {
  const JsonView view(json, origin);
  if (!view.has("min_tokens") && !view.has("max_tokens")) return json;
  const int64_t patch = view.integer("patch_size", 14, 1, 1024);
  const int64_t low = view.integer("min_tokens", 16, 1, 1 << 24),
                high = view.integer("max_tokens", 16384, 1, 1 << 24);
  json["min_pixels"] = low * patch * patch;
  json["max_pixels"] = high * patch * patch;
  return json;
}

struct Found {
  Json json;
  std::string origin;
};

std::optional<Found> find_options(const fs::path& folder, const std::string& file,
                                  const std::string& nested) {
  if (auto json = read_config_file(folder, file)) return Found{*json, (folder / file).string()};
  const auto outer = read_config_file(folder, "processor_config.json");
  if (!outer || !outer->is_object() || !outer->contains(nested)) return std::nullopt;
  return Found{(*outer)[nested], (folder / "processor_config.json").string() + ": " + nested};
}

}  // namespace

std::optional<Json> read_config_file(const fs::path& folder, const std::string& name) {
  const fs::path path = folder / name;
  if (!fs::exists(path)) return std::nullopt;
  return parse_json(read_file(resolve_link_stub(path), kMaxConfigBytes), path.string());
}

PixelOptions read_image_options(const fs::path& folder) {
  PixelOptions options;
  options.image_mean = options.image_std = {0.5, 0.5, 0.5};
  if (const auto found = find_options(folder, "preprocessor_config.json", "image_processor")) {
    options.merge(in_pixels(found->json, found->origin), found->origin);
  }
  return options;
}

VideoOptions read_video_options(const fs::path& folder) {
  VideoOptions options;
  auto found = find_options(folder, "video_preprocessor_config.json", "video_processor");
  if (!found) {  // the original release has one file for both
    found = find_options(folder, "preprocessor_config.json", "image_processor");
    if (!found) return options;
    found->json.erase("merge_size");
  }
  options.merge(in_pixels(found->json, found->origin), found->origin, true);
  return options;
}

}  // namespace vl3
