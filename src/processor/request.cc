// What people ask of the processor, as JSON.

#include <algorithm>

#include "base/json.h"
#include "vl3/processor.h"

namespace vl3 {
namespace {

// The path a part names: "image": path, or as other programs write it {"url": path}.
std::string path_of(const Json& value, const std::string& where) {
  const Json* text = &value;
  for (const char* key : {"path", "url"}) {
    if (text->is_object() && text->contains(key)) text = &(*text)[key];
  }
  require(text->is_string(), ErrorCode::kInvalidArgument, "{} should be the path of a file, not {}", where,
          shown(value));
  std::string path = text->get<std::string>();
  if (path.starts_with("file://")) path.erase(0, 7);
  require(path.find("://") == std::string::npos && !path.starts_with("data:"), ErrorCode::kUnsupported,
          "{} is an address; only files can be read: {}", where, shown(value));
  return path;
}

// The value under which a part names its medium; null where it is none of this kind.
const Json* medium(const Json& part, const char* kind) {
  const std::string type =
      part.contains("type") && part["type"].is_string() ? part["type"].get<std::string>() : "";
  const std::string with_url = std::string(kind) + "_url";
  if (type == "text") return nullptr;
  if (!type.empty() && type != kind && type != with_url) return nullptr;
  for (const std::string& key : {std::string(kind), with_url, std::string("path"), std::string("url")}) {
    if (part.contains(key) && !part[key].is_null()) return &part[key];
  }
  return nullptr;
}

void refuse_unknown(const std::vector<std::string>& keys, const std::string& origin) {
  require(keys.empty(), ErrorCode::kInvalidArgument, "[{}] \"{}\" is not an option", origin,
          keys.empty() ? "" : keys[0]);
}

template <size_t n>
bool is_one_of(std::string_view key, const std::string_view (&known)[n]) {
  return std::find(std::begin(known), std::end(known), key) != std::end(known);
}

// Settings of the reference's tokenizer call; the last ones change nothing here.
constexpr std::string_view kTextOptions[] = {"padding",
                                             "padding_side",
                                             "truncation",
                                             "max_length",
                                             "pad_to_multiple_of",
                                             "add_special_tokens",
                                             "return_attention_mask",
                                             "return_tensors"};

void read_padding(const JsonView& from, ProcessorRequest& request) {
  if (const Json* padding = from.find("padding")) {
    if (padding->is_boolean()) {
      request.padding = padding->get<bool>();
    } else {
      require(*padding == "longest" || *padding == "do_not_pad", ErrorCode::kInvalidArgument,
              "[{}] \"padding\" should be true or \"longest\", false or \"do_not_pad\", not {}",
              from.origin(), shown(*padding));
      request.padding = *padding == "longest";
    }
  }
  const std::string side = from.string("padding_side", request.padding_left ? "left" : "right");
  require(side == "left" || side == "right", ErrorCode::kInvalidArgument,
          "[{}] \"padding_side\" should be left or right, not {}", from.origin(), side);
  request.padding_left = side == "left";
  // Cutting a prompt would leave placeholders without their features: the reference refuses the result, too.
  require(!from.has("truncation") || *from.find("truncation") == false ||
              *from.find("truncation") == "do_not_truncate",
          ErrorCode::kUnsupported, "[{}] \"truncation\" is not done", from.origin());
  for (const char* key : {"max_length", "pad_to_multiple_of"}) {
    require(!from.has(key), ErrorCode::kUnsupported,
            "[{}] \"{}\" is not done: rows are padded to the longest", from.origin(), key);
  }
}

// Options that stand beside "images" and "videos" go to whichever of them has such an option, as in the
// reference.
void read_options_beside(const Json& json, const std::string& origin, const std::vector<std::string>& others,
                         ProcessorRequest& request) {
  constexpr std::string_view kKnown[] = {"conversations",
                                         "images",
                                         "images_kwargs",
                                         "videos",
                                         "videos_kwargs",
                                         "text",
                                         "text_kwargs",
                                         "add_generation_prompt",
                                         "special_tokens_in_messages",
                                         "chat_template_kwargs"};
  Json beside = Json::object();
  for (const auto& [key, value] : json.items()) {
    const bool known = is_one_of(key, kKnown) || is_one_of(key, kTextOptions) ||
                       std::find(others.begin(), others.end(), key) != others.end();
    if (known) continue;
    for (const char* group : {"images", "images_kwargs", "videos", "videos_kwargs"}) {
      require(!json.contains(group) || !json[group].is_object() || !json[group].contains(key),
              ErrorCode::kInvalidArgument, "[{}] \"{}\" is given twice: beside \"{}\" and in it", origin, key,
              group);
    }
    beside[key] = value;
  }
  if (beside.empty()) return;
  const std::vector<std::string> not_images = request.images.merge(beside, origin);
  const std::vector<std::string> not_videos = request.videos.merge(beside, origin);
  for (const std::string& key : not_images) {
    require(std::find(not_videos.begin(), not_videos.end(), key) == not_videos.end(),
            ErrorCode::kInvalidArgument, "[{}] \"{}\" is not a part of a request, nor an option", origin,
            key);
  }
}

}  // namespace

std::string MediaItem::name() const {
  return paths.size() == 1 ? paths[0].string()
                           : fmt::format("{} (and {} more)", paths[0].string(), paths.size() - 1);
}

std::vector<MediaItem> Processor::media_of(const ProcessorRequest& request, const Json& messages) const {
  std::vector<MediaItem> items;
  require(messages.is_array(), ErrorCode::kInvalidArgument, "[messages] should be a list, not {}",
          shown(messages));
  for (size_t m = 0; m < messages.size(); ++m) {
    const Json& message = messages[m];
    require(message.is_object() && message.contains("role") && message.contains("content"),
            ErrorCode::kInvalidArgument,
            "[messages[{}]] should be an object with \"role\" and \"content\", not {}", m, shown(message));
    if (!message["content"].is_array()) continue;
    for (size_t p = 0; p < message["content"].size(); ++p) {
      const Json& part = message["content"][p];
      if (!part.is_object()) continue;
      const std::string where = fmt::format("[messages[{}].content[{}]]", m, p);
      if (const Json* image = medium(part, "image")) {
        items.push_back({false, {path_of(*image, where)}, {}});
      } else if (const Json* video = medium(part, "video")) {
        MediaItem item{true, {}, request.videos};
        if (video->is_array()) {
          for (const Json& frame : *video) item.paths.emplace_back(path_of(frame, where));
          require(!item.paths.empty(), ErrorCode::kInvalidArgument, "{} is a clip without frames", where);
        } else {
          item.paths.emplace_back(path_of(*video, where));
        }
        Json options = part;
        for (const char* key : {"type", "video", "video_url", "path", "url"}) options.erase(key);
        refuse_unknown(item.options.merge(options, where), where);
        items.push_back(std::move(item));
      } else {
        const std::string type =
            part.contains("type") && part["type"].is_string() ? part["type"].get<std::string>() : "";
        require(type != "image" && type != "video", ErrorCode::kInvalidArgument, "{} names no file: {}",
                where, shown(part));
      }
    }
  }
  return items;
}

ProcessorRequest Processor::request_for(Json messages) const {
  ProcessorRequest request;
  request.conversations.push_back(std::move(messages));
  request.images = images_.options();
  request.videos = videos_.options();
  return request;
}

ProcessorRequest Processor::parse_request(const Json& json, const std::string& origin,
                                          const std::vector<std::string>& others) const {
  const JsonView view(json, origin);
  ProcessorRequest request;
  request.images = images_.options();
  request.videos = videos_.options();
  const Json* conversations = view.find("conversations");
  require(conversations != nullptr && conversations->is_array() && !conversations->empty(),
          ErrorCode::kInvalidArgument, "[{}] \"conversations\" should be a list of at least one conversation",
          origin);
  for (const Json& messages : *conversations) request.conversations.push_back(messages);
  for (const char* key : {"images", "images_kwargs"}) {
    if (view.has(key))
      refuse_unknown(request.images.merge(json[key], origin + ": " + key), origin + ": " + key);
  }
  for (const char* key : {"videos", "videos_kwargs"}) {
    if (view.has(key))
      refuse_unknown(request.videos.merge(json[key], origin + ": " + key), origin + ": " + key);
  }
  read_padding(view, request);
  for (const char* key : {"text", "text_kwargs"}) {
    if (!view.has(key)) continue;
    const JsonView inner = view.child(key);
    read_padding(inner, request);
    for (const auto& [name, value] : inner.json().items()) {
      if (!is_one_of(name, kTextOptions)) refuse_unknown({name}, origin + ": " + key);
    }
  }
  request.add_generation_prompt = view.boolean("add_generation_prompt", request.add_generation_prompt);
  request.special_tokens_in_messages =
      view.boolean("special_tokens_in_messages", request.special_tokens_in_messages);
  if (view.has("chat_template_kwargs"))
    request.template_arguments = view.child("chat_template_kwargs").json();
  read_options_beside(json, origin, others, request);
  return request;
}

Json to_json(const std::vector<ClipReport>& clips) {
  Json list = Json::array();
  for (const ClipReport& clip : clips) {
    list.push_back({{"name", clip.name},
                    {"total_num_frames", clip.info.total_frames},
                    {"fps", clip.info.fps ? Json(*clip.info.fps) : Json(1.0)},
                    {"fps_assumed", clip.frames.fps_assumed},
                    {"height", clip.info.height},
                    {"width", clip.info.width},
                    {"frames_indices", clip.frames.indices},
                    {"timestamps", clip.frames.timestamps},
                    {"tokens_per_frame", clip.tokens_per_frame},
                    {"kept", clip.kept},
                    {"variable_rate", !clip.info.times_s.empty()},
                    {"notes", clip.notes}});
  }
  return list;
}

}  // namespace vl3
