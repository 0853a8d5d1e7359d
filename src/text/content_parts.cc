#include "text/content_parts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace vl3 {
namespace {

bool is_kind(const Json& part, const std::string& kind) {
  if (!part.is_object()) return false;
  if (part.contains(kind) || part.contains(kind + "_url")) return true;
  const auto type = part.find("type");
  return type != part.end() && (*type == kind || *type == kind + "_url");
}

}  // namespace

bool has_media(const Json& parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [](const Json& part) { return is_kind(part, "image") || is_kind(part, "video"); });
}

jinja::Text text_of_parts(const Json& parts, const MediaTokens& tokens, const std::string& where) {
  jinja::Text text;
  for (const Json& part : parts) {
    if (part.is_string()) {
      text += jinja::Text(part.get<std::string>(), true);
    } else if (is_kind(part, "image") || is_kind(part, "video")) {
      text += jinja::Text((is_kind(part, "image") ? tokens.image : tokens.video) + "\n");
    } else {
      const bool plain = part.is_object() && part.contains("text") && part["text"].is_string();
      require(plain, ErrorCode::kInvalidArgument,
              "[{}] the chat template takes text, pictures and clips as content, not the part {}", where,
              shown(part));
      text += jinja::Text(part["text"].get<std::string>(), true);
    }
  }
  return text;
}

}  // namespace vl3
