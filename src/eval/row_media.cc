#include "eval/row_media.h"

#include <algorithm>

#include "base/check.h"
#include "base/data_url.h"
#include "base/sha256.h"
#include "base/web_address.h"

namespace vl3::eval {
namespace {

namespace fs = std::filesystem;

std::string resolved(const Json& path, const JsonView& row, const char* key, const fs::path& folder) {
  require(path.is_string(), ErrorCode::kFormat, "[{}] \"{}\" has {}, not a path", row.origin(), key,
          shown(path));
  if (is_web_address(path.get_ref<const std::string&>()) || is_data_url(path.get_ref<const std::string&>()))
    return path;
  const fs::path file(path.get<std::string>());
  const fs::path whole = file.is_absolute() ? file : folder / file;
  std::error_code ignored;
  require(fs::exists(whole, ignored), ErrorCode::kNotFound, "[{}] \"{}\": there is no file {}", row.origin(),
          key, whole.string());
  return whole.string();
}

constexpr std::string_view kClipOptions[] = {"start_time",         "end_time",     "fps",   "num_frames",
                                             "min_frames",         "max_frames",   "times", "rotate",
                                             "skip_broken_frames", "pictures_rate"};
constexpr size_t kNumbers = 6;  // of them come first; the others are checked where the clip is read

// The record of a path or of paths, which has no query of an address: it may hold a key. Its hash tells
// addresses apart.
Json recorded(const Json& value) {
  if (value.is_array()) {
    Json list = Json::array();
    for (const Json& item : value) list.push_back(recorded(item));
    return list;
  }
  if (!value.is_string()) return value;
  const auto& text = value.get_ref<const std::string&>();
  const bool data = is_data_url(text);
  if (!is_web_address(text) && !data) return value;
  constexpr size_t kDigits = 16;
  const std::string shown = data ? "data:" : shown_address(text);
  if (shown == text) return value;
  Sha256 hash;
  hash.add_text(text);
  return shown + " sha256:" + hash.hex().substr(0, kDigits);
}

// An option of clips, checked as far as its kind goes; the rest where the clip is read.
Json clip_option(const JsonView& row, std::string_view key) {
  if (std::find(kClipOptions, kClipOptions + kNumbers, key) == kClipOptions + kNumbers) return *row.find(key);
  if (key.ends_with("_frames")) return row.integer(key, 0, 0, 1 << 24);
  return row.number(key, 0);
}

// A path, or of a clip also the frames' paths.
Json resolved_source(const Json& value, const JsonView& row, const std::string& kind,
                     const fs::path& folder) {
  if (!value.is_array() || kind != "video") return resolved(value, row, kind.c_str(), folder);
  Json frames = Json::array();
  for (const Json& frame : value) frames.push_back(resolved(frame, row, kind.c_str(), folder));
  return frames;
}

// A path or a list of them; of clips, a list in the list holds the frames of one.
void add_media(const JsonView& row, const std::string& kind, const fs::path& folder, Sample& sample) {
  const bool one = row.has(kind), many = row.has(kind + "s");
  require(!one || !many, ErrorCode::kFormat, "[{}] has both \"{}\" and \"{}s\"", row.origin(), kind, kind);
  if (!one && !many) return;
  const Json* value = row.find(one ? kind : kind + "s");
  sample.media[kind] = recorded(*value);
  for (const Json& item : value->is_array() ? *value : Json::array({*value})) {
    Json part = {{"type", kind}, {kind, resolved_source(item, row, kind, folder)}};
    for (const std::string_view key : kClipOptions) {
      if (kind != "video" || !row.has(key)) continue;
      part[std::string(key)] = sample.media[std::string(key)] = clip_option(row, key);
    }
    sample.message["content"].push_back(std::move(part));
  }
}

// A part of "content"; what is wrong with it is told under its place.
void add_part(const JsonView& part, const fs::path& folder, Sample& sample) {
  const std::string type = part.string("type", "");
  if (type == "text") {
    const std::string text = part.string("text", "");
    require(part.json().size() == 2 && part.has("text"), ErrorCode::kFormat,
            "[{}] should have a \"type\" and a \"text\", and nothing else", part.origin());
    sample.question += (sample.question.empty() ? "" : "\n") + text;
    sample.message["content"].push_back(part.json());
    return;
  }
  require(type == "image" || type == "video", ErrorCode::kFormat,
          "[{}] \"type\" should be text, image or video, not \"{}\"", part.origin(), type);
  require(part.has(type), ErrorCode::kFormat, "[{}] has no \"{}\"", part.origin(), type);
  Json whole = {{"type", type}, {type, resolved_source(*part.find(type), part, type, folder)}},
       record = whole;
  record[type] = recorded(*part.find(type));
  for (const auto& [key, value] : part.json().items()) {
    if (key == "type" || key == type || value.is_null()) continue;
    const bool option =
        std::find(std::begin(kClipOptions), std::end(kClipOptions), key) != std::end(kClipOptions);
    require(type == "video" && option, ErrorCode::kFormat, "[{}] has the key \"{}\", which is not one of {}",
            part.origin(), key, type == "video" ? "a clip" : "a picture");
    whole[key] = record[key] = clip_option(part, key);
  }
  sample.message["content"].push_back(std::move(whole));
  sample.media["content"].push_back(std::move(record));
}

void begin(Sample& sample) {
  sample.media = Json::object();
  sample.message = {{"role", "user"}, {"content", Json::array()}};
}

}  // namespace

void read_media(const JsonView& row, const fs::path& folder, Sample& sample) {
  begin(sample);
  add_media(row, "image", folder, sample);
  add_media(row, "video", folder, sample);
  for (const std::string_view key : kClipOptions) {
    require(!row.has(key) || sample.media.contains("video"), ErrorCode::kFormat,
            "[{}] has \"{}\" and no clip", row.origin(), key);
  }
}

void read_content(const JsonView& row, const fs::path& folder, Sample& sample) {
  begin(sample);
  for (const char* key : {"question", "image", "images", "video", "videos"})
    require(!row.has(key), ErrorCode::kFormat, "[{}] has \"content\" and \"{}\"", row.origin(), key);
  for (const std::string_view key : kClipOptions)
    require(!row.has(key), ErrorCode::kFormat,
            "[{}] has \"content\" and \"{}\", which stands in its parts of clips", row.origin(), key);
  const Json& content = *row.find("content");
  require(content.is_array() && !content.empty(), ErrorCode::kFormat,
          "[{}] \"content\" should be a list of parts, not {}", row.origin(), shown(content));
  for (size_t i = 0; i < content.size(); ++i)
    add_part(JsonView(content[i], fmt::format("{}: content[{}]", row.origin(), i)), folder, sample);
  require(!sample.question.empty(), ErrorCode::kFormat, "[{}] \"content\" has no text", row.origin());
}

}  // namespace vl3::eval
