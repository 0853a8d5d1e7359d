#include "train/rows.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = uint64_t{4} << 30;

std::string resolved(const std::string& path, const fs::path& media) {
  return fs::path(path).is_absolute() ? path : (media / path).string();
}

// "image" or "video" of a row as parts of a message.
std::vector<Json> media_parts(const JsonView& row, const char* kind, const fs::path& media) {
  std::vector<Json> parts;
  const Json* value = row.find(kind);
  if (value == nullptr) return parts;
  for (const Json& item : value->is_array() ? *value : Json::array({*value})) {
    Json path;
    if (item.is_string()) {
      path = resolved(item.get<std::string>(), media);
    } else if (item.is_array() && std::string_view(kind) == "video") {
      path = Json::array();
      for (const Json& frame : item) {
        require(frame.is_string(), ErrorCode::kFormat, "[{}] \"video\" has a frame {}, not a path",
                row.origin(), shown(frame));
        path.push_back(resolved(frame.get<std::string>(), media));
      }
    } else {
      fail(ErrorCode::kFormat, "[{}] \"{}\" has {}, not a path", row.origin(), kind, shown(item));
    }
    parts.push_back({{"type", kind}, {kind, path}});
  }
  return parts;
}

// Text with "<image>" and "<video>" as parts; the line break that follows a mark is the template's to write.
Json content_of(const std::string& text, std::vector<Json>& images, std::vector<Json>& videos,
                const std::string& origin) {
  Json content = Json::array();
  const auto add_text = [&](std::string piece) {
    if (!piece.empty()) content.push_back({{"type", "text"}, {"text", std::move(piece)}});
  };
  size_t at = 0;
  while (true) {
    const size_t image = text.find("<image>", at), video = text.find("<video>", at);
    const size_t found = std::min(image, video);
    if (found == std::string::npos) break;
    add_text(text.substr(at, found - at));
    std::vector<Json>& list = found == image ? images : videos;
    require(!list.empty(), ErrorCode::kFormat, "[{}] has more \"{}\" than files", origin,
            text.substr(found, 7));
    content.push_back(std::move(list.front()));
    list.erase(list.begin());
    at = found + 7;
    if (at < text.size() && text[at] == '\n') ++at;
  }
  add_text(text.substr(at));
  return content;
}

std::string role_of(const Json& turn, const std::string& origin) {
  const std::string from = turn.value("from", "");
  if (from == "human" || from == "user") return "user";
  if (from == "gpt" || from == "assistant") return "assistant";
  require(from == "system", ErrorCode::kFormat, "[{}] a turn is from {}; it should be human, gpt or system",
          origin, turn.contains("from") ? shown(turn["from"]) : "nobody");
  return from;
}

Json from_conversations(const JsonView& row, const fs::path& media) {
  const std::string& origin = row.origin();
  const Json& turns = row.json()["conversations"];
  require(turns.is_array() && !turns.empty(), ErrorCode::kFormat,
          "[{}] \"conversations\" should be a list of turns", origin);
  std::vector<Json> images = media_parts(row, "image", media), videos = media_parts(row, "video", media);
  size_t image_marks = 0, video_marks = 0;
  const auto count = [](const std::string& text, const char* mark) {
    size_t n = 0;
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) ++n;
    return n;
  };
  for (const Json& turn : turns) {
    require(turn.is_object() && turn.contains("value") && turn["value"].is_string(), ErrorCode::kFormat,
            "[{}] a turn should have \"from\" and \"value\", not {}", origin, shown(turn));
    image_marks += count(turn["value"].get<std::string>(), "<image>");
    video_marks += count(turn["value"].get<std::string>(), "<video>");
  }
  std::string missing;
  for (size_t i = image_marks; i < images.size(); ++i) missing += "<image>\n";
  for (size_t i = video_marks; i < videos.size(); ++i) missing += "<video>\n";
  Json messages = Json::array();
  bool begun = false;
  for (const Json& turn : turns) {
    const std::string role = role_of(turn, origin);
    if (!begun && role == "assistant") continue;
    std::string text = turn["value"].get<std::string>();
    if (role == "user" && !begun) text = missing + text;
    begun = begun || role == "user";
    if (role == "user")
      messages.push_back({{"role", role}, {"content", content_of(text, images, videos, origin)}});
    else
      messages.push_back({{"role", role}, {"content", text}});
  }
  require(images.empty() && videos.empty(), ErrorCode::kFormat, "[{}] has files that no turn marks", origin);
  return messages;
}

// Text of a turn: a string, or parts of text.
std::string text_of(const Json& content, const std::string& origin) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  require(content.is_array(), ErrorCode::kFormat, "[{}] a turn's \"content\" is {}, not text", origin,
          shown(content));
  for (const Json& part : content) {
    require(part.is_object() && part.contains("text") && part["text"].is_string(), ErrorCode::kFormat,
            "[{}] a turn of a stream has {}; its pictures are the clip's frames, the rest is text", origin,
            shown(part));
    text += part["text"].get<std::string>();
  }
  return text;
}

TrainRow from_stream(const JsonView& row, const fs::path& media) {
  const std::string& origin = row.origin();
  TrainRow result{origin, {}, {}};
  std::vector<Json> clips = media_parts(row, "video", media);
  require(clips.size() == 1, ErrorCode::kFormat, "[{}] a stream has one \"video\", not {}", origin,
          clips.size());
  for (const char* key : {"start_time", "end_time"}) {
    if (row.has(key)) clips[0][key] = row.number(key, 0);
  }
  result.messages = Json::array({{{"role", "stream"}, {"content", Json::array({clips[0]})}}});
  const Json* turns = row.find("conversation");
  require(turns != nullptr && turns->is_array() && !turns->empty(), ErrorCode::kFormat,
          "[{}] \"conversation\" should be a list of turns", origin);
  for (const Json& json : *turns) {
    require(json.is_object(), ErrorCode::kFormat, "[{}] a turn is {}", origin, shown(json));
    const JsonView turn(json, origin);
    const std::string role = turn.string("role", "");
    require(role == "user" || role == "assistant" || role == "system", ErrorCode::kFormat,
            "[{}] a turn has the role \"{}\"; it should be user, assistant or system", origin, role);
    require(turn.has("content") && turn.has("time"), ErrorCode::kFormat,
            "[{}] a turn of a stream should have \"content\" and \"time\", not {}", origin, shown(json));
    const double time_s = turn.number("time", 0);
    const double last_s = result.stream.empty() ? time_s : result.stream.back().time_s;
    require(time_s >= last_s, ErrorCode::kFormat, "[{}] a turn at {} s comes after one at {} s", origin,
            time_s, last_s);
    result.stream.push_back({role, text_of(json["content"], origin), time_s});
  }
  return result;
}

// Paths of messages that came ready, resolved in place.
void resolve_paths(Json& messages, const fs::path& media) {
  for (Json& message : messages) {
    if (!message.is_object() || !message.contains("content") || !message["content"].is_array()) continue;
    for (Json& part : message["content"]) {
      for (const char* key : {"image", "video", "image_url", "video_url"}) {
        if (!part.is_object() || !part.contains(key)) continue;
        Json* value = &part[key];
        if (value->is_object() && value->contains("url")) value = &(*value)["url"];
        if (value->is_string() && value->get<std::string>().find("://") == std::string::npos)
          *value = resolved(value->get<std::string>(), media);
        if (!value->is_array()) continue;
        for (Json& frame : *value) {
          if (frame.is_string()) frame = resolved(frame.get<std::string>(), media);
        }
      }
    }
  }
}

}  // namespace

TrainRow parse_row(const Json& json, const std::string& origin, const fs::path& media) {
  const JsonView row(json, origin);
  if (row.boolean("stream", false)) return from_stream(row, media);
  TrainRow result{origin, {}, {}};
  if (row.has("messages")) {
    result.messages = json["messages"];
    require(result.messages.is_array() && !result.messages.empty(), ErrorCode::kFormat,
            "[{}] \"messages\" should be a list of turns", origin);
    resolve_paths(result.messages, media);
  } else {
    require(row.has("conversations"), ErrorCode::kFormat,
            "[{}] has neither \"conversations\" nor \"messages\"", origin);
    result.messages = from_conversations(row, media);
  }
  bool answered = false;
  for (const Json& message : result.messages) {
    require(message.is_object() && message.contains("role") && message.contains("content"),
            ErrorCode::kFormat, "[{}] a turn should have \"role\" and \"content\", not {}", origin,
            shown(message));
    answered = answered || message["role"] == "assistant";
  }
  require(answered, ErrorCode::kFormat, "[{}] has no answer to learn", origin);
  return result;
}

void read_rows(const fs::path& file, const std::function<void(const Json&, const std::string&)>& row,
               const std::function<void(const std::string&, const std::string&)>& bad) {
  const auto one = [&](const auto& get, const std::string& origin) {
    try {
      row(get(), origin);
    } catch (const Error& error) {
      bad(origin, error.what());
    }
  };
  std::ifstream lines(file);
  require(lines.good(), ErrorCode::kNotFound, "[{}] cannot be read", file.string());
  char first = 0;
  lines >> first;
  if (first == '[') {
    const Json list = parse_json(read_file(file, kMaxFileBytes), file.string());
    for (size_t i = 0; i < list.size(); ++i)
      one([&] { return list[i]; }, fmt::format("{}[{}]", file.string(), i));
    return;
  }
  lines.clear();
  lines.seekg(0);
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string origin = fmt::format("{}:{}", file.string(), number);
    one([&] { return parse_json(line, origin); }, origin);
  }
  require(!lines.bad(), ErrorCode::kIo, "[{}] cannot be read to its end", file.string());
}

}  // namespace vl3
