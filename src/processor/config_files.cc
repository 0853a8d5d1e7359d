#include "processor/config_files.h"

#include "base/file.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMaxConfigBytes = 16u << 20;

// Areas in tokens, as the original release writes them: of (patch_size · merge_size)² pixels each.
Json in_pixels(Json json, const std::string& origin, int64_t merge_size) {
  const JsonView view(json, origin);
  if (!view.has("min_tokens") && !view.has("max_tokens")) return json;
  const int64_t side =
      view.integer("patch_size", 14, 1, 1024) * view.integer("merge_size", merge_size, 1, 64);
  json["min_pixels"] = view.integer("min_tokens", 16, 1, 1 << 16) * side * side;
  json["max_pixels"] = view.integer("max_tokens", 16384, 1, 1 << 20) * side * side;
  return json;
}

// A file of the original release, which serves for pictures and clips.
bool is_original(const Json& json) {
  for (const char* key : {"image_processor_type", "processor_class"}) {
    if (json.contains(key) && json[key].is_string() &&
        json[key].get<std::string>().starts_with("Videollama3"))
      return true;
  }
  return json.contains("min_tokens") || json.contains("max_tokens");
}

struct Found {
  Json json;
  std::string origin;
};

// In the order of the reference: the newer nesting first.
std::optional<Found> find_options(const fs::path& folder, const std::string& nested,
                                  std::initializer_list<const char*> files) {
  const auto outer = read_config_file(folder, "processor_config.json");
  const std::string origin = (folder / "processor_config.json").string();
  if (outer && JsonView(*outer, origin).has(nested)) {
    Found found{(*outer)[nested], origin + ": " + nested};
    const JsonView checked(found.json, found.origin);
    return found;
  }
  for (const char* file : files) {
    auto json = read_config_file(folder, file);
    if (!json) continue;
    Found found{std::move(*json), (folder / file).string()};
    const JsonView checked(found.json, found.origin);
    return found;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Json> read_config_file(const fs::path& folder, const std::string& name) {
  const fs::path path = folder / name;
  if (!fs::exists(path)) return std::nullopt;
  return parse_json(read_file(resolve_link_stub(path), kMaxConfigBytes), path.string());
}

PixelOptions read_image_options(const fs::path& folder) {
  PixelOptions options;
  if (const auto found = find_options(folder, "image_processor", {"preprocessor_config.json"})) {
    options.merge(in_pixels(found->json, found->origin, options.merge_size), found->origin);
  }
  return options;
}

VideoOptions read_video_options(const fs::path& folder) {
  VideoOptions options;
  auto found =
      find_options(folder, "video_processor", {"video_preprocessor_config.json", "preprocessor_config.json"});
  if (!found) return options;
  if (is_original(found->json)) {  // one file for both; clips are merged by 2 and looked at once a second
    found->json.erase("merge_size");
    options.fps = 1.0;
    options.do_sample_frames = true;
  }
  options.merge(in_pixels(found->json, found->origin, options.merge_size), found->origin, true);
  return options;
}

}  // namespace vl3
