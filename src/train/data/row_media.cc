#include "train/data/row_media.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/data_url.h"
#include "base/one_of.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMarkLength = 7;  // of "<image>" and "<video>" alike

// A path, or what other programs have in its place: {"path": …, "bytes": null}, {"url": …}.
Json item_of(const Json& item, const std::string& name, const fs::path& media, const std::string& origin) {
  const Json* value = &item;
  for (const char* key : {"path", "url"}) {
    if (!value->is_object() || !value->contains(key) || says_nothing((*value)[key])) continue;
    for (const auto& [other, rest] : value->items())
      require(other == key || says_nothing(rest), ErrorCode::kFormat,
              "[{}] \"{}\" has the key \"{}\" beside a path", origin, name, other);
    value = &(*value)[key];
  }
  require(value->is_string() && !says_nothing(*value), ErrorCode::kFormat, "[{}] \"{}\" has {}, not a path",
          origin, name, shown(item));
  return resolved(value->get<std::string>(), media);
}

size_t count_marks(const std::string& text, const char* kind) {
  const std::string mark = std::string("<") + kind + ">";
  size_t count = 0;
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) ++count;
  return count;
}

// Whether <word> stands for a file in other programs: "img", "|image_1|", "ImageHere", …
bool is_foreign_mark(std::string word) {
  constexpr std::string_view kWords[] = {"image",
                                         "video",
                                         "img",
                                         "audio",
                                         "vid",
                                         "image_pad",
                                         "video_pad",
                                         "vision_start",
                                         "img_context",
                                         "imagehere",
                                         "imagecontent",
                                         "image_placeholder",
                                         "video_placeholder"};
  if (word == "image" || word == "video") return false;
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::tolower(c)); });
  while (!word.empty() && word.back() == ' ') word.pop_back();
  if (word.starts_with('/')) word.erase(0, 1);
  if (word.size() > 2 && word.front() == '|' && word.back() == '|') word = word.substr(1, word.size() - 2);
  const size_t letters = word.find_last_not_of("0123456789") + 1;
  if (letters < word.size()) {  // image_1, image 1, image1
    word.resize(letters);
    if (!word.empty() && std::string_view("_- ").find(word.back()) != std::string_view::npos) word.pop_back();
  }
  return is_one_of(word, kWords);
}

// The text of a part that is one; null for others.
const Json* text_in(const Json& part) {
  if (part.is_string()) return &part;
  return part.is_object() && part.contains("text") && part["text"].is_string() ? &part["text"] : nullptr;
}

bool is_file_key(const std::string& key, const std::string& kind) {
  if (key == "path" || key == "url" || key == "data" || key == "base64") return true;
  return key == kind || key == kind + "_url" || key == "input_" + kind || key == kind + "_path";
}

bool names_file(const Json& part, const std::string& kind) {
  for (const auto& [key, value] : part.items()) {
    if (is_file_key(key, kind) && !says_nothing(value)) return true;
  }
  return false;
}

// Lists and the places that take from them.
class Places {
 public:
  Places(RowMedia images, RowMedia videos, const Json& clip_options, const fs::path& media,
         const std::string& origin)
      : images_(std::move(images)),
        videos_(std::move(videos)),
        clip_options_(clip_options),
        media_(media),
        origin_(origin) {}

  // LLaVA's rows of clips mark them "<image>": as many as there are clips, with no picture and no "<video>".
  void accept_clips_marked_as_pictures(const Json& messages) {
    if (!images_.parts.empty() || !videos_.may_lack) return;
    size_t image_places = 0, video_places = 0;
    for (const Json& message : messages) {
      image_places += count_places(message["content"], images_);
      video_places += count_places(message["content"], videos_);
    }
    if (video_places == 0 && image_places == videos_.parts.size()) std::swap(images_.parts, videos_.parts);
  }

  // Content with every mark and every place taken.
  Json filled(const Json& content, bool may_have_marks) {
    if (content.is_string()) return filled_text(content.get<std::string>(), may_have_marks, content);
    if (!content.is_array()) return content;
    Json result = Json::array();
    for (const Json& part : content) {
      if (const Json* text = text_in(part)) {
        const Json pieces = filled_text(text->get<std::string>(), may_have_marks, Json::array({part}));
        result.insert(result.end(), pieces.begin(), pieces.end());
      } else {
        require(may_have_marks || !(is_of(part, "image") || is_clip(part)), ErrorCode::kFormat,
                "[{}] has a picture or clip in a turn that is not a user's: {}", origin_, shown(part));
        result.push_back(filled_part(part));
      }
    }
    return result;
  }

  // The first of the lists that have fewer places, for the front of the first question.
  Json lacking(const Json& messages) {
    Json parts = Json::array();
    for (RowMedia* list : {&images_, &videos_}) {
      size_t places = 0;
      for (const Json& message : messages) places += count_places(message["content"], *list);
      while (list->may_lack && list->next + places < list->parts.size()) parts.push_back(take(*list));
    }
    return parts;
  }

  void require_all_placed() const {
    for (const RowMedia* list : {&images_, &videos_}) {
      require(list->next == list->parts.size(), ErrorCode::kFormat,
              "[{}] has {} under \"{}s\" and {} \"<{}>\" in its turns: as many are needed", origin_,
              list->parts.size(), list->kind, list->next, list->kind);
    }
    require(clip_options_.empty() || clips_ > 0, ErrorCode::kFormat, "[{}] has \"{}\" and no clip", origin_,
            clip_options_.empty() ? "" : clip_options_.begin().key());
  }

 private:
  static size_t count_places(const Json& content, const RowMedia& list) {
    size_t count = 0;
    if (content.is_string()) return count_marks(content.get_ref<const std::string&>(), list.kind);
    for (const Json& part : content.is_array() ? content : Json::array()) {
      const Json* text = text_in(part);
      if (text != nullptr)
        count += count_marks(text->get_ref<const std::string&>(), list.kind);
      else
        count += is_of(part, list.kind) && !names_file(part, list.kind);
    }
    return count;
  }

  Json take(RowMedia& list) {
    require(list.next < list.parts.size(), ErrorCode::kFormat, "[{}] has more \"<{}>\" than files: {}",
            origin_, list.kind, list.parts.size());
    return with_options(list.parts[list.next++]);
  }

  Json with_options(Json part) {
    if (!is_clip(part)) return part;
    ++clips_;
    for (const auto& [key, value] : clip_options_.items()) {
      const auto has = [key = key](const Json& object) { return object.is_object() && object.contains(key); };
      bool told = has(part);
      for (const char* name : {"video", "video_url", "input_video"})
        told = told || (part.contains(name) && has(part[name]));
      if (!told) part[key] = value;
    }
    return part;
  }

  static bool is_clip(const Json& part) { return is_of(part, "video"); }
  static bool is_of(const Json& part, const std::string& kind) {
    if (!part.is_object()) return false;
    for (const std::string& name : {kind, kind + "_url", "input_" + kind}) {
      if (part.contains("type") ? part["type"] == name : part.contains(name)) return true;
    }
    return false;
  }

  // `as_is` where there is no mark in it. The line break that follows a mark is the template's to write.
  Json filled_text(const std::string& text, bool may_have_marks, const Json& as_is) {
    if (may_have_marks) require_no_foreign_marks(text, origin_);
    Json content = Json::array();
    const auto add_text = [&](std::string piece) {
      if (!piece.empty()) content.push_back({{"type", "text"}, {"text", std::move(piece)}});
    };
    size_t at = 0;
    while (true) {
      const size_t image = text.find("<image>", at), video = text.find("<video>", at);
      const size_t found = std::min(image, video);
      if (found == std::string::npos) break;
      require(may_have_marks, ErrorCode::kFormat,
              "[{}] has \"{}\" in a turn that is not a user's: it is a place for a file", origin_,
              text.substr(found, kMarkLength));
      add_text(text.substr(at, found - at));
      content.push_back(take(found == image ? images_ : videos_));
      at = found + kMarkLength;
      if (at < text.size() && text[at] == '\n') ++at;
    }
    if (content.empty() && at == 0) return as_is;
    add_text(text.substr(at));
    return content;
  }

  // A part that is no text: its paths resolved, or, where it has no file, the next of its list.
  Json filled_part(Json part) {
    for (RowMedia* list : {&images_, &videos_}) {
      if (!is_of(part, list->kind)) continue;
      if (names_file(part, list->kind)) {
        for (auto& [key, value] : part.items()) {
          if (is_file_key(key, list->kind) && key != "data" && key != "base64") resolve(value);
        }
        return with_options(std::move(part));
      }
      Json taken = take(*list);
      for (const auto& [key, value] : part.items()) {  // options of this place
        if (!says_nothing(value) && key != "type") taken[key] = value;
      }
      return taken;
    }
    return part;  // the processor says what it thinks of it
  }

  void resolve(Json& value) const {
    if (value.is_string()) {
      value = resolved(value.get<std::string>(), media_);
    } else if (value.is_array()) {
      for (Json& frame : value) resolve(frame);
    } else if (value.is_object()) {
      for (const char* key : {"path", "url", "image_path", "video_path"}) {
        if (value.contains(key)) resolve(value[key]);
      }
    }
  }

  RowMedia images_, videos_;
  const Json& clip_options_;
  const fs::path& media_;
  const std::string& origin_;
  int64_t clips_ = 0;
};

}  // namespace

bool is_url(const std::string& path) { return path.find("://") != std::string::npos || is_data_url(path); }

std::string resolved(const std::string& path, const fs::path& media) {
  return is_url(path) || fs::path(path).is_absolute() ? path : (media / path).string();
}

void require_no_foreign_marks(const std::string& text, const std::string& origin) {
  constexpr size_t kLongest = 24;
  for (size_t at = text.find('<'); at != std::string::npos; at = text.find('<', at + 1)) {
    const size_t end = text.find('>', at);
    if (end == std::string::npos) return;
    if (end - at > kLongest) continue;
    require(!is_foreign_mark(text.substr(at + 1, end - at - 1)), ErrorCode::kFormat,
            "[{}] has \"{}\" in a user's turn, by which another program marks a file's place: it should be "
            "\"<image>\" or \"<video>\", and the file stand under \"images\" or \"videos\"",
            origin, text.substr(at, end - at + 1));
  }
}

RowMedia listed_media(RowKeys& row, const char* kind, const fs::path& media) {
  const std::string plural = std::string(kind) + "s";
  const Json *one = row.take(kind), *many = row.take(plural);
  require(one == nullptr || many == nullptr, ErrorCode::kFormat, "[{}] has both \"{}\" and \"{}\"",
          row.origin(), kind, plural);
  RowMedia list;
  list.kind = kind;
  list.may_lack = one != nullptr;
  const Json* value = one != nullptr ? one : many;
  if (value == nullptr) return list;
  const std::string name = one != nullptr ? kind : plural;
  for (const Json& item : value->is_array() ? *value : Json::array({*value})) {
    Json path;
    if (item.is_array() && std::string_view(kind) == "video") {
      path = Json::array();
      for (const Json& frame : item) {
        require(frame.is_string(), ErrorCode::kFormat, "[{}] \"{}\" has a frame {}, not a path", row.origin(),
                name, shown(frame));
        path.push_back(resolved(frame.get<std::string>(), media));
      }
    } else {
      path = item_of(item, name, media, row.origin());
    }
    list.parts.push_back({{"type", kind}, {kind, std::move(path)}});
  }
  return list;
}

void place_media(Json& messages, RowMedia images, RowMedia videos, const Json& clip_options,
                 const fs::path& media, const std::string& origin) {
  Places places(std::move(images), std::move(videos), clip_options, media, origin);
  places.accept_clips_marked_as_pictures(messages);
  const Json missing = places.lacking(messages);
  Json* first = nullptr;
  for (Json& message : messages) {
    const bool user = message["role"] != "assistant" && message["role"] != "system";
    message["content"] = places.filled(message["content"], user);
    if (first == nullptr && message["role"] == "user") first = &message["content"];
  }
  if (!missing.empty() && first != nullptr) {
    Json content = first->is_array() ? *first : Json::array({{{"type", "text"}, {"text", *first}}});
    content.insert(content.begin(), missing.begin(), missing.end());
    *first = std::move(content);
  }
  places.require_all_placed();
}

bool holds_media(const Json& messages) {
  for (const Json& message : messages) {
    for (const Json& part : message["content"].is_array() ? message["content"] : Json::array()) {
      if (text_in(part) == nullptr) return true;
    }
  }
  return false;
}

}  // namespace vl3
