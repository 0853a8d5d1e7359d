#include "engine/visual_facts_json.h"

#include <limits>

#include "base/json.h"

namespace vl3 {
namespace {

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

template <class T>
Json list_of(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(value);
  return list;
}

template <class T>
std::vector<T> read_list(const JsonView& view, const char* key) {
  const Json* list = view.find(key);
  require(list != nullptr && list->is_array(), ErrorCode::kFormat, "[{}] \"{}\" should be a list",
          view.origin(), key);
  std::vector<T> values;
  for (const Json& value : *list) {
    const bool fits = std::is_same_v<T, std::string> ? value.is_string() : value.is_number();
    require(fits, ErrorCode::kFormat, "[{}] \"{}\" has the value {}", view.origin(), key, shown(value));
    values.push_back(value.get<T>());
  }
  return values;
}

Json clip_to_json(const ClipReport& clip) {
  const VideoInfo& info = clip.info;
  return {{"name", clip.name},
          {"height", info.height},
          {"width", info.width},
          {"mirrored", info.turn.mirrored},
          {"quarters", info.turn.quarters},
          {"upright", info.upright},
          {"total_frames", info.total_frames},
          {"fps", info.fps ? Json(*info.fps) : Json()},
          {"duration_s", info.duration_s},
          {"times_s", list_of(info.times_s)},
          {"format", info.format},
          {"indices", list_of(clip.frames.indices)},
          {"timestamps", list_of(clip.frames.timestamps)},
          {"fps_assumed", clip.frames.fps_assumed},
          {"kept", list_of(clip.kept)},
          {"tokens_per_frame", clip.tokens_per_frame},
          {"notes", list_of(clip.notes)}};
}

ClipReport clip_from_json(const JsonView& view) {
  ClipReport clip;
  VideoInfo& info = clip.info;
  clip.name = view.string("name", "");
  info.height = view.integer("height", 0, 0, kMost);
  info.width = view.integer("width", 0, 0, kMost);
  info.turn.mirrored = view.boolean("mirrored", false);
  info.turn.quarters = static_cast<int>(view.integer("quarters", 0, 0, 3));
  info.upright = view.boolean("upright", false);
  info.total_frames = view.integer("total_frames", 0, 0, kMost);
  if (view.has("fps")) info.fps = view.number("fps", 0);
  info.duration_s = view.number("duration_s", 0);
  info.times_s = read_list<double>(view, "times_s");
  info.format = view.string("format", "");
  clip.frames.indices = read_list<int64_t>(view, "indices");
  clip.frames.timestamps = read_list<double>(view, "timestamps");
  clip.frames.fps_assumed = view.boolean("fps_assumed", false);
  clip.kept = read_list<int64_t>(view, "kept");
  clip.tokens_per_frame = view.integer("tokens_per_frame", 0, 0, kMost);
  clip.notes = read_list<std::string>(view, "notes");
  require(clip.frames.timestamps.size() == clip.frames.indices.size() &&
              clip.kept.size() == clip.frames.indices.size(),
          ErrorCode::kFormat, "[{}] has {} frames, {} times and {} counts of tokens", view.origin(),
          clip.frames.indices.size(), clip.frames.timestamps.size(), clip.kept.size());
  return clip;
}

}  // namespace

Json facts_to_json(const VisualFacts& facts) {
  std::string keep;
  for (const uint8_t token : facts.keep) keep += token != 0 ? '1' : '0';
  Json json = {{"grid", {facts.t, facts.h, facts.w}}, {"merge", facts.merge}, {"keep", keep}};
  if (!facts.keep.empty()) json["clip"] = clip_to_json(facts.clip);
  return json;
}

VisualFacts facts_from_json(const Json& json, const std::string& origin) {
  const JsonView view(json, origin);
  const auto grid = read_list<int64_t>(view, "grid");
  require(grid.size() == 3, ErrorCode::kFormat, "[{}] \"grid\" has {} numbers, not 3", origin, grid.size());
  VisualFacts facts{grid[0], grid[1], grid[2], view.integer("merge", 1, 1, kMost)};
  for (const char token : view.string("keep", "")) facts.keep.push_back(token == '1' ? 1 : 0);
  if (view.has("clip")) facts.clip = clip_from_json(view.child("clip"));
  return facts;
}

}  // namespace vl3
