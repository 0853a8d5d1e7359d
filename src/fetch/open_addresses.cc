#include <algorithm>

#include "base/web_address.h"
#include "processor/part_words.h"
#include "vl3/media_fetch.h"

namespace vl3 {
namespace {

PartKind kind_of(const Json& part) {
  const auto type = part.find("type");
  PartKind kind = PartKind::kNone;
  for (const Spelling& known : kTypes) {
    if (type != part.end() && type->is_string() && *type == known.name) return known.kind;
    const auto found = part.find(known.name);
    if (found != part.end() && !found->is_null() && kind == PartKind::kNone) kind = known.kind;
  }
  return kind;
}

class Opening {
 public:
  Opening(ProcessorRequest& request, const OpenAddress& open) : request_(request), open_(open) {}

  void look_at(const Json& part) {
    const PartKind kind = kind_of(part);
    if (kind == PartKind::kImage || kind == PartKind::kVideo) keys_of(part, kind == PartKind::kVideo);
  }

 private:
  void keys_of(const Json& object, bool video) {
    for (const auto& [key, value] : object.items()) {
      if (is_source_key(key, video) && !is_base64_key(key)) source(value, video);
    }
  }

  // A text, an object around one, or the frames of a clip, which are pictures.
  void source(const Json& value, bool video) {
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      if (is_web_address(text) && !request_.media.contains(text))
        request_.media.emplace(text, open_(text, video));
    } else if (value.is_object()) {
      keys_of(value, video);
    } else if (value.is_array() && video) {
      for (const Json& frame : value) frame_of(frame);
    }
  }

  void frame_of(const Json& frame) {
    if (frame.is_string()) return source(frame, false);
    if (!frame.is_object()) return;
    for (const auto& [key, value] : frame.items()) {
      if (is_source_key(key, true) && !is_base64_key(key) && value.is_string()) source(value, false);
    }
  }

  ProcessorRequest& request_;
  const OpenAddress& open_;
};

}  // namespace

bool names_addresses(const Json& request) {
  if (request.is_string()) return is_web_address(request.get_ref<const std::string&>());
  if (!request.is_structured()) return false;
  return std::any_of(request.begin(), request.end(), [](const Json& part) { return names_addresses(part); });
}

void open_addresses(ProcessorRequest& request, const OpenAddress& open) {
  Opening opening(request, open);
  for (const Json& conversation : request.conversations) {
    if (!conversation.is_array()) continue;
    for (const Json& message : conversation) {
      const auto content = message.is_object() ? message.find("content") : message.end();
      if (!message.is_object() || content == message.end() || !content->is_array()) continue;
      for (const Json& part : *content) {
        if (part.is_object()) opening.look_at(part);
      }
    }
  }
}

}  // namespace vl3
