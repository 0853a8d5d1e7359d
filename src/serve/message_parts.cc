#include "serve/message_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "serve/field_reader.h"

namespace vl3::serve {
namespace {

enum class PartKind { kText, kImage, kVideo };

struct Spelling {
  std::string_view name;
  PartKind kind;
};
constexpr Spelling kTypes[] = {
    {"text", PartKind::kText},    {"input_text", PartKind::kText},   {"output_text", PartKind::kText},
    {"refusal", PartKind::kText}, {"image_url", PartKind::kImage},   {"input_image", PartKind::kImage},
    {"image", PartKind::kImage},  {"video_url", PartKind::kVideo},   {"input_video", PartKind::kVideo},
    {"video", PartKind::kVideo},  {"video_frames", PartKind::kVideo}};

// Under which keys a part has its medium, and an object there its address.
constexpr std::string_view kImageKeys[] = {"image_url", "input_image", "image", "image_path"};
constexpr std::string_view kVideoKeys[] = {"video_url",  "input_video",  "video",
                                           "video_path", "video_frames", "frames"};
constexpr std::string_view kPlainKeys[] = {"url", "data", "base64", "path"};

constexpr std::string_view kClipOptions[] = {"fps",
                                             "num_frames",
                                             "min_frames",
                                             "max_frames",
                                             "start_time",
                                             "end_time",
                                             "detail",
                                             "min_pixels",
                                             "max_pixels",
                                             "shortest_edge",
                                             "longest_edge",
                                             "size",
                                             "rotate",
                                             "times",
                                             "do_sample_frames",
                                             "pictures_rate",
                                             "skip_broken_frames",
                                             "use_token_compression"};
constexpr std::string_view kPictureOptions[] = {"detail",        "min_pixels",   "max_pixels",
                                                "shortest_edge", "longest_edge", "size"};
constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool", "function"};

template <size_t n>
bool is_one_of(std::string_view key, const std::string_view (&known)[n]) {
  return std::find(std::begin(known), std::end(known), key) != std::end(known);
}

bool is_source_key(bool video, std::string_view key) {
  return is_one_of(key, kPlainKeys) || (video ? is_one_of(key, kVideoKeys) : is_one_of(key, kImageKeys));
}

PartKind kind_of(const FieldReader& part) {
  if (const auto type = part.text("type")) {
    for (const Spelling& known : kTypes) {
      if (*type == known.name) return known.kind;
    }
    refuse(part.param_of("type"),
           fmt::format("\"{}\" is {}; parts are text, image_url, input_image, video_url or input_video.",
                       part.param_of("type"), shown(*part.find("type"))));
  }
  for (const Spelling& known : kTypes) {
    if (part.has(known.name)) return known.kind;
  }
  refuse(part.param(),
         fmt::format("\"{}\" should be a part with its \"type\", not {}.", part.param(), shown(part.json())));
}

std::string text_of(const FieldReader& part) {
  const char* key = part.text("type").value_or("") == "refusal" ? "refusal" : "text";
  const auto text = part.text(key);
  if (!text) part.wrong(key, "a text");
  return *text;
}

// Reads a part that shows something.
class SlotReader {
 public:
  SlotReader(const FieldReader& part, bool video) : part_(part), video_(video) {
    slot_.kind = video ? MediaKind::kVideo : MediaKind::kImage;
    slot_.param = part.param();
    slot_.options = Json::object();
  }

  MediaSlot read() {
    for (const auto& [key, value] : part_.json().items()) {
      if (!is_source_key(video_, key)) {
        take_option(part_, key);
      } else if (!value.is_null()) {
        if (named_) refuse(part_.param_of(key), fmt::format("\"{}\" has its medium twice.", part_.param()));
        take_source(key, value);
      }
    }
    if (slot_.urls.empty() && slot_.uuid.empty())
      refuse(slot_.param,
             fmt::format("\"{}\" shows nothing: an address, data or a known uuid is missing.", slot_.param));
    read_list();
    return std::move(slot_);
  }

 private:
  void take_source(const std::string& key, const Json& value) {
    slot_.param = part_.param_of(key);
    named_ = true;
    if (value.is_array()) {
      take_frames(value);
    } else if (value.is_object()) {
      const FieldReader inner(value, slot_.param);
      bool found = false;
      for (const auto& [name, address] : value.items()) {
        if (!is_source_key(video_, name)) {
          take_option(inner, name);
        } else if (!address.is_null()) {
          if (found) refuse(inner.param_of(name), fmt::format("\"{}\" has its medium twice.", inner.param()));
          found = true;
          if (address.is_array())
            take_frames(address);
          else
            take_address(address, inner.param_of(name));
        }
      }
      if (!found && !value.empty() && !inner.has("uuid") && !part_.has("uuid"))
        refuse(slot_.param, fmt::format("\"{}\" has no \"url\".", slot_.param));
    } else {
      take_address(value, slot_.param);
    }
  }

  void take_address(const Json& value, const std::string& param) {
    if (!value.is_string() || value.get_ref<const std::string&>().empty())
      refuse(param,
             fmt::format("\"{}\" should be an address, a data: URL or base64, not {}.", param, shown(value)));
    slot_.urls.push_back(value.get<std::string>());
  }

  void take_frames(const Json& list) {
    if (!video_) refuse(slot_.param, fmt::format("\"{}\" should be one picture, not a list.", slot_.param));
    if (list.empty() || list.size() > kMostFrames)
      refuse(slot_.param, fmt::format("\"{}\" should have 1 to {} frames, not {}.", slot_.param, kMostFrames,
                                      list.size()));
    slot_.frames = true;
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string param = fmt::format("{}[{}]", slot_.param, i);
      const Json* address = &list[i];
      for (int depth = 0; depth < 2 && address->is_object(); ++depth) {  // {"image_url": {"url": …}}
        const Json* inner = nullptr;
        for (const auto& [name, value] : address->items()) {
          if (is_source_key(false, name)) inner = &value;
        }
        if (inner == nullptr) break;
        address = inner;
      }
      take_address(*address, param);
    }
  }

  void take_option(const FieldReader& from, const std::string& key) {
    if (!from.has(key)) return;
    if (key == "uuid") {
      slot_.uuid = *from.text("uuid");
      constexpr size_t kMostBytes = 256;
      if (slot_.uuid.empty() || slot_.uuid.size() > kMostBytes)
        from.wrong("uuid", fmt::format("a text of 1 to {} bytes", kMostBytes));
    } else if (key == "max_tokens") {
      slot_.max_tokens = from.integer("max_tokens", 1, std::numeric_limits<int32_t>::max());
    } else if (video_ && key == "timestamps") {
      read_timestamps(from);
    } else if (video_ ? key == "nframes" || is_clip_option(key) : is_picture_option(key)) {
      const std::string name = key == "nframes" ? "num_frames" : key;
      if (slot_.options.contains(name))
        refuse(from.param_of(key), fmt::format("\"{}\" is given twice.", from.param_of(key)));
      slot_.options[name] = *from.find(key);
    }
  }

  void read_timestamps(const FieldReader& from) {
    const Json& list = *from.find("timestamps");
    if (!list.is_array() || list.size() > kMostFrames) from.wrong("timestamps", "a list of seconds");
    for (const Json& time : list) {
      const bool good = time.is_number() && time.get<double>() >= 0 && time.get<double>() <= 1e9 &&
                        (slot_.timestamps.empty() || time.get<double>() >= slot_.timestamps.back());
      if (!good) from.wrong("timestamps", "a list of seconds that rise");
      slot_.timestamps.push_back(time.get<double>());
    }
  }

  // Of a list of frames, fps says how they follow each other: all of them are looked at.
  void read_list() {
    if (!slot_.timestamps.empty() && slot_.timestamps.size() != slot_.urls.size())
      refuse(part_.param_of("timestamps"),
             fmt::format("\"{}\" has {} times for {} frames.", part_.param_of("timestamps"),
                         slot_.timestamps.size(), slot_.urls.size()));
    if (!slot_.frames || !slot_.options.contains("fps")) return;
    const Json& fps = slot_.options["fps"];
    if (!slot_.timestamps.empty())
      refuse(part_.param_of("fps"), fmt::format("\"{}\" has \"fps\" and \"timestamps\".", part_.param()));
    if (!fps.is_number() || !(fps.get<double>() > 0 && fps.get<double>() <= 1000))
      refuse(part_.param_of("fps"), fmt::format("\"{}\" should be a number above 0 and up to 1000, not {}.",
                                                part_.param_of("fps"), shown(fps)));
    slot_.frames_fps = fps.get<double>();
    slot_.options.erase("fps");
  }

  const FieldReader& part_;
  const bool video_;
  bool named_ = false;
  MediaSlot slot_;
};

Json read_content(const FieldReader& message, ReadMessages& read) {
  const Json* content = message.find("content");
  const std::string param = message.param_of("content");
  if (content == nullptr) {
    if (message.text("role") == "assistant") return "";
    refuse(param, fmt::format("\"{}\" should be a text or a list of parts; it is missing.", param));
  }
  if (content->is_string()) return *content;
  if (!content->is_array())
    refuse(param, fmt::format("\"{}\" should be a text or a list of parts, not {}.", param, shown(*content)));
  Json parts = Json::array();
  for (size_t p = 0; p < content->size(); ++p) {
    const FieldReader part((*content)[p], fmt::format("{}[{}]", param, p));
    const PartKind kind = kind_of(part);
    if (kind == PartKind::kText) {
      parts.push_back({{"type", "text"}, {"text", text_of(part)}});
      continue;
    }
    if (read.media.size() == kMostMedia)
      refuse(part.param(), fmt::format("There are more than {} pictures and clips.", kMostMedia),
             "too_many_media");
    read.media.push_back(SlotReader(part, kind == PartKind::kVideo).read());
    read.media.back().message = read.messages.size();
    read.media.back().part = p;
    parts.push_back(nullptr);
  }
  return parts;
}

}  // namespace

bool is_clip_option(std::string_view key) { return is_one_of(key, kClipOptions); }
bool is_picture_option(std::string_view key) { return is_one_of(key, kPictureOptions); }

ReadMessages read_messages(const Json& messages, const std::string& param) {
  if (!messages.is_array() || messages.empty() || messages.size() > kMostMessages)
    refuse(param, fmt::format("\"{}\" should be a list of 1 to {} messages, not {}.", param, kMostMessages,
                              shown(messages)));
  ReadMessages read;
  for (size_t m = 0; m < messages.size(); ++m) {
    const FieldReader message(messages[m], fmt::format("{}[{}]", param, m));
    const auto role = message.text("role");
    if (!role || !is_one_of(*role, kRoles))
      message.wrong("role", "system, developer, user, assistant or tool");
    Json content = read_content(message, read);
    read.messages.push_back(
        {{"role", *role == "developer" ? "system" : *role}, {"content", std::move(content)}});
  }
  return read;
}

}  // namespace vl3::serve
