#include "serve/message_parts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "base/one_of.h"
#include "base/says_nothing.h"
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
// Where other programs' requests have media, which is not read here.
constexpr std::string_view kForeignKeys[] = {
    "images", "image_data",  "videos",   "video_data", "multi_modal_data", "media",
    "file",   "files",       "file_id",  "file_data",  "attachments",      "experimental_attachments",
    "audio",  "input_audio", "audio_url"};
constexpr std::string_view kPlainKeys[] = {"url", "data", "base64", "path"};
constexpr std::string_view kFrameTimes[] = {"timestamp", "timestamps", "time"};

struct MediaOption {
  std::string_view name;
  bool clips, pictures;
  std::string_view processor_name = name;
};
constexpr MediaOption kOptions[] = {{"max_tokens", true, true},
                                    {"detail", true, true},
                                    {"min_pixels", true, true},
                                    {"max_pixels", true, true},
                                    {"shortest_edge", true, true},
                                    {"longest_edge", true, true},
                                    {"size", true, true},
                                    {"fps", true, false},
                                    {"num_frames", true, false},
                                    {"nframes", true, false, "num_frames"},
                                    {"min_frames", true, false},
                                    {"max_frames", true, false},
                                    {"start_time", true, false},
                                    {"end_time", true, false},
                                    {"rotate", true, false},
                                    {"times", true, false},
                                    {"do_sample_frames", true, false},
                                    {"pictures_rate", true, false},
                                    {"skip_broken_frames", true, false},
                                    {"use_token_compression", true, false}};
constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool", "function"};

bool is_source_key(bool video, std::string_view key) {
  return is_one_of(key, kPlainKeys) || (video ? is_one_of(key, kVideoKeys) : is_one_of(key, kImageKeys));
}

// A medium where none is read would be dropped in silence.
void refuse_medium_at(const FieldReader& place, const std::string& why) {
  for (const auto& [key, value] : place.json().items()) {
    if (is_medium_key(key) && !says_nothing(value))
      refuse(place.param_of(key), fmt::format("\"{}\" is {}.", place.param_of(key), why));
  }
}

// False: it changes nothing.
bool read_detail(const FieldReader& from, bool video) {
  const std::string detail = from.text("detail").value_or("");
  if (detail != "low" && detail != "high" && detail != "auto") from.wrong("detail", "auto, low or high");
  if (video && detail == "low")
    refuse(from.param_of("detail"),
           fmt::format("\"{}\" is \"low\", which pictures can be: a clip has max_pixels, max_frames and "
                       "max_tokens.",
                       from.param_of("detail")));
  return !video;
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
  refuse_medium_at(part, "beside a text: a medium is a part of its own");
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
    slot_.part_param = slot_.param = part.param();
  }

  MediaSlot read() {
    for (const auto& [key, value] : part_.json().items()) {
      if (key == "text" && !says_nothing(value))
        refuse(part_.param_of(key),
               fmt::format("\"{}\" is beside a medium: a text is a part of its own.", part_.param_of(key)));
      const bool medium = is_source_key(video_, key) || (is_medium_key(key) && !says_nothing(value));
      if (!medium) {
        take_option(part_, key);
      } else if (!value.is_null()) {
        if (!is_source_key(video_, key)) refuse_other(part_.param_of(key), key);
        if (named_) refuse(part_.param_of(key), fmt::format("\"{}\" has its medium twice.", part_.param()));
        take_source(key, value);
      }
    }
    if (slot_.urls.empty() && slot_.uuid.empty())
      refuse(slot_.param,
             fmt::format("\"{}\" shows nothing: an address, data or a known uuid is missing.", slot_.param));
    check_list();
    return std::move(slot_);
  }

 private:
  [[noreturn]] static void refuse_other(const std::string& param, const std::string& key) {
    if (is_one_of(key, kForeignKeys))
      refuse(param,
             fmt::format("\"{}\" is not read here: a medium is named by its address or its data.", param),
             "unsupported");
    refuse(param, fmt::format("\"{}\" is of another type than its part.", param));
  }

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
          if (is_medium_key(name) && !says_nothing(address)) refuse_other(inner.param_of(name), name);
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
    slot_.listed = true;
    for (size_t i = 0; i < list.size(); ++i) take_frame(list[i], fmt::format("{}[{}]", slot_.param, i), 2);
  }

  // An address, or {"image_url": …}, {"image_url": {"url": …}}.
  void take_frame(const Json& frame, const std::string& param, int depth) {
    if (!frame.is_object() || depth == 0) return take_address(frame, param);
    const FieldReader inner(frame, param);
    const Json* address = nullptr;
    MediaOptions options;
    for (const auto& [key, value] : frame.items()) {
      if (value.is_null()) continue;
      if (is_source_key(false, key)) {
        if (address != nullptr) refuse(param, fmt::format("\"{}\" has its medium twice.", param));
        address = &value;
        continue;
      }
      if (is_medium_key(key) && !says_nothing(value)) refuse_other(inner.param_of(key), key);
      read_media_option(inner, key, true, options);
      if (is_one_of(key, kFrameTimes) || key == "uuid" || options.max_tokens || !options.named.empty())
        refuse(inner.param_of(key),
               fmt::format("\"{}\" is of one frame: options stand beside the list, times of frames there in "
                           "\"timestamps\".",
                           inner.param_of(key)));
    }
    if (address == nullptr) return take_address(frame, param);
    take_frame(*address, param, depth - 1);
  }

  void take_option(const FieldReader& from, const std::string& key) {
    if (!from.has(key)) return;
    if (key == "uuid") {
      slot_.uuid = *from.text("uuid");
      constexpr size_t kMostBytes = 256;
      if (slot_.uuid.empty() || slot_.uuid.size() > kMostBytes)
        from.wrong("uuid", fmt::format("a text of 1 to {} bytes", kMostBytes));
    } else if (video_ && key == "timestamps") {
      read_timestamps(from);
    } else {
      read_media_option(from, key, video_, slot_.options);
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

  void check_list() {
    slot_.joined = video_ && !slot_.listed && slot_.urls.size() == 1 && is_joined_frames(slot_.urls[0]);
    if (slot_.timestamps.empty()) return;
    const std::string param = part_.param_of("timestamps");
    if (slot_.options.named.contains("fps"))
      refuse(param, fmt::format("\"{}\" has \"fps\" and \"timestamps\".", part_.param()));
    if (!slot_.listed && !slot_.joined && !slot_.urls.empty()) refuse_timestamps(param);
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

bool is_medium_key(std::string_view key) {
  return is_one_of(key, kImageKeys) || is_one_of(key, kVideoKeys) || is_one_of(key, kForeignKeys);
}

void refuse_timestamps(const std::string& param) {
  refuse(param, fmt::format("\"{}\" goes with a list of frames alone: a clip has its own times.", param));
}

bool read_media_option(const FieldReader& from, const std::string& key, bool video, MediaOptions& options) {
  const auto known = std::find_if(std::begin(kOptions), std::end(kOptions), [&](const MediaOption& option) {
    return option.name == key && (video ? option.clips : option.pictures);
  });
  if (known == std::end(kOptions)) return false;
  if (!from.has(key)) return true;
  if (key == "max_tokens") {
    options.max_tokens = from.integer(key, 1, std::numeric_limits<int32_t>::max());
    return true;
  }
  if (key == "detail" && !read_detail(from, video)) return true;
  const std::string name(known->processor_name);
  if (options.named.contains(name))
    refuse(from.param_of(key), fmt::format("\"{}\" is given twice.", from.param_of(key)));
  options.named[name] = *from.find(key);
  return true;
}

std::string media_option_names(bool clips, bool pictures) {
  std::vector<std::string_view> names;
  for (const MediaOption& option : kOptions) {
    if ((clips && option.clips) || (pictures && option.pictures)) names.push_back(option.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

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
    refuse_medium_at(message, "beside the content: a medium is a part of \"content\"");
    Json content = read_content(message, read);
    read.messages.push_back(
        {{"role", *role == "developer" ? "system" : *role}, {"content", std::move(content)}});
  }
  return read;
}

}  // namespace vl3::serve
