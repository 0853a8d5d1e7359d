#include "processor/messages.h"

#include <algorithm>
#include <array>

#include "base/data_url.h"
#include "base/json.h"
#include "base/near_names.h"
#include "base/one_of.h"
#include "base/sha256.h"
#include "base/web_address.h"
#include "jinja/names.h"
#include "processor/asked_bounds.h"
#include "processor/part_words.h"

namespace vl3 {
namespace {

// Areas are the only options that differ from picture to picture: the others say what patches are.
constexpr std::string_view kAreaKeys[] = {"min_pixels", "max_pixels", "shortest_edge", "longest_edge",
                                          "size"};

const std::vector<std::string_view> kPictureKeys = {"image",      "image_url",  "path", "url",
                                                    "detail",     "min_pixels", "size", "max_pixels",
                                                    "image_path", "base64"};
const std::vector<std::string_view> kClipKeys = {
    "video",      "video_url",          "path",         "url",        "fps",
    "num_frames", "min_frames",         "max_frames",   "start_time", "end_time",
    "min_pixels", "max_pixels",         "video_path",   "base64",     "times",
    "rotate",     "skip_broken_frames", "pictures_rate"};

// Words of parts. Beside "content" they are nobody's, though a template that reads parts has them in its
// text.
bool is_of_parts(std::string_view key) {
  const auto is_type = [&](const Spelling& known) { return known.name == key; };
  return key == "type" || key == "images" || key == "videos" || is_source_key(key, false) ||
         is_source_key(key, true) || std::any_of(std::begin(kTypes), std::end(kTypes), is_type);
}

PartKind kind_of(const Json& part, const std::string& where) {
  const auto type = part.find("type");
  if (type != part.end() && !says_nothing(*type)) {
    require(type->is_string(), ErrorCode::kInvalidArgument, "{} has the \"type\" {}; it should be a text",
            where, shown(*type));
    for (const Spelling& known : kTypes) {
      if (*type == known.name) return known.kind;
    }
    fail(ErrorCode::kInvalidArgument, "{} is of the type {}; parts are text, image or video", where,
         shown(*type));
  }
  PartKind kind = PartKind::kNone;
  for (const Spelling& known : kTypes) {
    const auto found = part.find(known.name);
    if (found == part.end() || says_nothing(*found)) continue;
    require(kind == PartKind::kNone || kind == known.kind, ErrorCode::kInvalidArgument,
            "{} has no \"type\" and could be of several: {}", where, shown(part));
    kind = known.kind;
  }
  if (kind == PartKind::kNone && part.contains("text")) return PartKind::kText;
  require(kind != PartKind::kNone, ErrorCode::kInvalidArgument,
          "{} should be a text, a picture or a clip, with its \"type\", not {}", where, shown(part));
  return kind;
}

// OpenAI's word for how large a picture may get.
void read_detail(const Json& detail, const std::string& where, PixelOptions& options) {
  constexpr int64_t kLowArea = 512 * 512;
  require(detail == "auto" || detail == "high" || detail == "low", ErrorCode::kInvalidArgument,
          "{} has the \"detail\" {}; it should be auto, low or high", where, shown(detail));
  if (detail != "low") return;
  options.longest_edge = std::min(options.longest_edge, kLowArea);
  options.shortest_edge = std::min(options.shortest_edge, options.longest_edge);
}

std::string text_of(const Json& part, const std::string& where) {
  for (const auto& [key, value] : part.items()) {
    require(key == "type" || key == "text" || says_nothing(value), ErrorCode::kInvalidArgument,
            "{} is a text and has the key \"{}\", which it should not have", where, key);
  }
  const auto text = part.find("text");
  require(text != part.end() && text->is_string(), ErrorCode::kInvalidArgument,
          "{} should have a \"text\", not {}", where, shown(part));
  return text->get<std::string>();
}

// The path of a file:// URL; what stands for a host there is this machine.
std::string path_of_url(std::string_view url) {
  url.remove_prefix(std::string_view("file://").size());
  if (url.starts_with("localhost/")) url.remove_prefix(std::string_view("localhost").size());
  return percent_decoded(url);
}

// "messages[0].content[1]" of "[messages[0].content[1]]".
std::string place_of(const std::string& where) { return where.substr(1, where.size() - 2); }

// What a data: URL holds, or bare base64. where: "[messages[0].content[1]]".
std::vector<MediaSource> parts_of(const std::string& text, const MediaLimits& limits,
                                  const std::string& where) {
  DataUrl data;
  if (is_data_url(text))
    data = parse_data_url(text, limits.max_file_bytes, limits.max_frames, where);
  else
    data.parts.push_back(from_base64(text, limits.max_file_bytes, where));
  std::vector<MediaSource> parts;
  for (std::string& part : data.parts) {
    require(!part.empty(), ErrorCode::kInvalidArgument, "{} has no data", where);
    std::string name = fmt::format("{}: data:{} ({} bytes)", place_of(where), data.media_type, part.size());
    parts.push_back(MediaSource::bytes(std::move(part), std::move(name)));
  }
  return parts;
}

}  // namespace

bool template_reads(const ChatTemplate& chat_template, const std::string& variable) {
  return jinja::names_in(chat_template.source(), chat_template.name(), "messages")
      .variables.contains(variable);
}

bool template_reads_key(const ChatTemplate& chat_template, const std::string& key) {
  const jinja::Names names = jinja::names_in(chat_template.source(), chat_template.name(), "messages");
  return names.any_key || names.keys.contains(key);
}

MessageReader::Conversation MessageReader::read(const Json& messages) {
  require(messages.is_array(), ErrorCode::kInvalidArgument, "[messages] should be a list, not {}",
          shown(messages));
  Conversation result{Json::array(), {}};
  for (size_t m = 0; m < messages.size(); ++m)
    result.messages.push_back(read_message(messages[m], fmt::format("messages[{}]", m), result.media));
  return result;
}

Json MessageReader::read_message(const Json& message, const std::string& where,
                                 std::vector<MediaItem>& media) {
  require(message.is_object() && message.contains("role") && message.contains("content"),
          ErrorCode::kInvalidArgument, "[{}] should be an object with \"role\" and \"content\", not {}",
          where, shown(message));
  require(message["role"].is_string(), ErrorCode::kInvalidArgument, "[{}] has the \"role\" {}, not a name",
          where, shown(message["role"]));
  Json result = {{"role", message["role"]}, {"content", message["content"]}};
  bool more = false;
  for (const auto& [key, value] : message.items()) {
    if (key == "role" || key == "content" || says_nothing(value)) continue;
    if (key == "type" && value == "message") continue;  // as items of OpenAI's responses have it
    require(!is_of_parts(key), ErrorCode::kInvalidArgument,
            "[{}] has the key \"{}\" beside its content; that belongs in a part of \"content\"", where, key);
    require(template_reads_key(template_, key), ErrorCode::kInvalidArgument,
            "[{}] has the key \"{}\", which the chat template does not read", where, key);
    result[key] = value;
    more = true;
  }
  const Json& content = message["content"];
  if (content.is_string() || (content.is_null() && more)) return result;
  require(content.is_array(), ErrorCode::kInvalidArgument,
          "[{}] has the \"content\" {}; it should be a text or a list of parts", where, shown(content));
  result["content"] = Json::array();
  for (size_t p = 0; p < content.size(); ++p)
    result["content"].push_back(read_part(content[p], fmt::format("[{}.content[{}]]", where, p), media));
  return result;
}

Json MessageReader::read_part(const Json& part, const std::string& where, std::vector<MediaItem>& media) {
  if (part.is_string()) return part;
  require(part.is_object(), ErrorCode::kInvalidArgument, "{} should be a text or an object, not {}", where,
          shown(part));
  const PartKind kind = kind_of(part, where);
  if (kind == PartKind::kText) return {{"type", "text"}, {"text", text_of(part, where)}};
  const bool video = kind == PartKind::kVideo;
  Source source;
  Json rest = Json::object();
  for (const auto& [key, value] : part.items()) {
    if (key == "type") continue;
    if (!is_source_key(key, video)) {
      rest[key] = value;
      continue;
    }
    require(!(value.is_array() && value.empty() && video), ErrorCode::kInvalidArgument,
            "{} is a clip without frames", where);
    if (says_nothing(value)) continue;
    require(source.value == nullptr, ErrorCode::kInvalidArgument,
            "{} names its file twice: under \"{}\" and under \"{}\"", where, source.key, key);
    source = {&value, key};
  }
  require(source.value != nullptr, ErrorCode::kInvalidArgument, "{} names no file: {}", where, shown(part));
  media.push_back(video ? clip(source, std::move(rest), where) : picture(source, std::move(rest), where));
  const char* name = video ? "video" : "image";
  return {{"type", name}, {name, media.back().name()}};
}

MediaItem MessageReader::picture(const Source& source, Json rest, const std::string& where) {
  MediaItem item;
  static_cast<PixelOptions&>(item.options) = request_.images;
  if (source.value->is_string())
    add_text(source.value->get_ref<const std::string&>(), is_base64_key(source.key), where, item);
  else
    add_source(*source.value, where, &rest, item);
  require(item.sources.size() == 1, ErrorCode::kInvalidArgument, "{} is a picture and has the data of {}",
          where, item.sources.size());
  Json areas = Json::object();
  for (const auto& [key, value] : rest.items()) {
    if (says_nothing(value)) continue;
    if (key == "detail") {
      read_detail(value, where, item.options);
      continue;
    }
    if (is_one_of(key, kAreaKeys)) {
      areas[key] = value;
      continue;
    }
    PixelOptions scratch = request_.images;
    bool is_option = false;
    try {
      is_option = scratch.merge({{key, value}}, place_of(where)).empty();
    } catch (const Error&) {  // its value is wrong on top of its place
      is_option = true;
    }
    require(!is_option, ErrorCode::kInvalidArgument,
            "{} has \"{}\", which counts for all pictures: it should stand in \"images\" of the request",
            where, key);
    fail(ErrorCode::kInvalidArgument, "{} has the key \"{}\", which is not an option of a picture{}", where,
         key, did_you_mean(key, kPictureKeys));
  }
  static_cast<PixelOptions&>(item.options).merge(areas, place_of(where));
  check_bounds(areas, where);
  return item;
}

MediaItem MessageReader::clip(const Source& source, Json rest, const std::string& where) {
  MediaItem item{true, {}, request_.videos};
  if (source.value->is_array()) {
    for (const Json& frame : *source.value) {
      if (frame.is_string())
        add_text(frame.get_ref<const std::string&>(), is_base64_key(source.key), where, item);
      else
        add_source(frame, where, nullptr, item);
    }
  } else if (source.value->is_string()) {
    add_text(source.value->get_ref<const std::string&>(), is_base64_key(source.key), where, item);
  } else {
    add_source(*source.value, where, &rest, item);
  }
  if (const auto detail = rest.find("detail"); detail != rest.end() && *detail != "low") {
    PixelOptions ignored;
    if (!says_nothing(*detail)) read_detail(*detail, where, ignored);
    rest.erase(detail);
  }
  for (const std::string& key : item.options.merge(rest, place_of(where))) {
    require(says_nothing(rest[key]), ErrorCode::kInvalidArgument, "{} \"{}\" is not an option of a clip{}",
            where, key, did_you_mean(key, kClipKeys));
  }
  check_bounds(rest, where);
  return item;
}

// An object that names a file: {"url": …}, {"video_path": …, "fps": 1}. rest: where options in it go; null
// where it may have none.
void MessageReader::add_source(const Json& value, const std::string& where, Json* rest, MediaItem& item) {
  const auto no_path = [&] {
    fail(ErrorCode::kInvalidArgument, "{} should be the path of a file, not {}", where, shown(value));
  };
  if (!value.is_object()) no_path();
  const auto& keys = source_keys(item.video);
  std::string_view found;
  for (const auto& [key, inner] : value.items()) {
    if (!is_one_of(key, keys)) {
      if (says_nothing(inner)) continue;
      require(rest != nullptr, ErrorCode::kInvalidArgument,
              "{} has the key \"{}\" beside the path of a frame", where, key);
      require(!rest->contains(key) || says_nothing((*rest)[key]), ErrorCode::kInvalidArgument,
              "{} has \"{}\" twice: beside its file and with it", where, key);
      (*rest)[key] = inner;
      continue;
    }
    if (says_nothing(inner)) continue;
    require(found.empty(), ErrorCode::kInvalidArgument,
            "{} names its file twice: under \"{}\" and under \"{}\"", where, found, key);
    if (!inner.is_string()) no_path();
    found = key;
    add_text(inner.get_ref<const std::string&>(), is_base64_key(key), where, item);
  }
  if (found.empty()) no_path();
}

// A name of request.media, a path, file:// URL or data: URL, or the bare base64 of one.
void MessageReader::add_text(const std::string& text, bool base64, const std::string& where,
                             MediaItem& item) {
  if (const auto given = request_.media.find(text); !base64 && given != request_.media.end()) {
    shown_.insert(text);
    item.sources.push_back(given->second);
    return;
  }
  if (!base64 && !is_data_url(text)) {
    const bool address = text.find("://") != std::string::npos && !text.starts_with("file://");
    require(!address, ErrorCode::kUnsupported, "{} is an address{}: {}", where,
            is_web_address(text) ? ", and nobody has fetched it"
                                 : " of a scheme that is not read (http, https, file and data are)",
            shown_address(text));
    constexpr size_t kLongestPath = 4096;
    require(text.size() <= kLongestPath, ErrorCode::kInvalidArgument,
            "{} has {} bytes where the path of a file should be: base64 belongs under \"base64\" or in a "
            "data: URL",
            where, text.size());
    require(text.find('\0') == std::string::npos, ErrorCode::kInvalidArgument,
            "{} should be the path of a file, not {}", where, shown(text));
    item.sources.emplace_back(std::filesystem::path(text.starts_with("file://") ? path_of_url(text) : text));
    return;
  }
  Sha256 hash;
  hash.add_text(text);
  std::string key = hash.hex();
  const std::vector<MediaSource>* parts = opened_.find_text(key);
  if (parts == nullptr) {
    opened_.keep_text(key, parts_of(text, limits_, where));
    parts = opened_.find_text(key);
  }
  item.sources.insert(item.sources.end(), parts->begin(), parts->end());
}

void MessageReader::check_all_shown() const {
  for (const auto& [name, source] : request_.media) {
    require(shown_.contains(name), ErrorCode::kInvalidArgument,
            "[request.media] \"{}\" is given and no message shows it", name);
  }
}

std::string MediaItem::name() const {
  return sources.size() == 1 ? sources[0].name()
                             : fmt::format("{} (and {} more)", sources[0].name(), sources.size() - 1);
}

}  // namespace vl3
