#include "conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "address_options.h"
#include "base/check.h"
#include "base/file.h"
#include "base/json_once.h"

namespace vl3::cli {
namespace {

constexpr uint64_t kMaxSavedBytes = 64u << 20;
constexpr size_t kMaxSteps = 1000;

// The beginning of a text, in one line.
std::string in_short(std::string text) {
  constexpr size_t kShown = 40;
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() <= kShown) return text;
  size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // whole characters
  return text.substr(0, end) + "…";
}

bool asks(const Json& message) { return message["role"] == "user"; }

// Parts of a message that are pictures and clips.
Json media_of(const Json& message) {
  Json media = Json::array();
  if (!message["content"].is_array()) return media;
  for (const Json& part : message["content"]) {
    if (part["type"] != "text") media.push_back(part);
  }
  return media;
}

void check_part(const Json& part, const std::string& origin) {
  require(part.is_object() && part.contains("type") && part["type"].is_string(), ErrorCode::kFormat,
          "[{}] a part of a message should be an object with a \"type\", not {}", origin, shown(part));
  const std::string type = part["type"];
  require(type == "text" || type == "image" || type == "video", ErrorCode::kFormat,
          "[{}] a part's \"type\" should be \"text\", \"image\" or \"video\", not {}", origin,
          shown(part["type"]));
  require(part.contains(type), ErrorCode::kFormat, "[{}] a part of type \"{}\" has no \"{}\"", origin, type,
          type);
  if (type == "text" || !part[type].is_string() || is_address(part[type].get_ref<const std::string&>()))
    return;
  std::error_code ignored;
  require(std::filesystem::exists(part[type].get<std::string>(), ignored), ErrorCode::kNotFound,
          "[{}] the conversation shows \"{}\", which is not there", origin, part[type].get<std::string>());
}

void check_message(const Json& message, const std::string& origin) {
  require(message.is_object() && message.contains("role") && message["role"].is_string() &&
              message.contains("content"),
          ErrorCode::kFormat, "[{}] a message should have \"role\" and \"content\", not be {}", origin,
          shown(message));
  const std::string role = message["role"];
  require(role == "system" || role == "user" || role == "assistant", ErrorCode::kFormat,
          "[{}] \"role\" should be \"system\", \"user\" or \"assistant\", not \"{}\"", origin, role);
  const Json& content = message["content"];
  require(content.is_string() || content.is_array(), ErrorCode::kFormat,
          "[{}] \"content\" should be a text or a list of parts, not {}", origin, shown(content));
  if (content.is_array()) {
    for (const Json& part : content) check_part(part, origin);
  }
}

// The list of messages in what a file holds.
Json messages_in(const Json& file, const std::string& origin) {
  const Json* list = &file;
  if (file.is_object() && file.contains("messages")) list = &file["messages"];
  if (file.is_object() && file.contains("conversations")) {
    const Json& all = file["conversations"];
    require(all.is_array() && all.size() == 1, ErrorCode::kFormat,
            "[{}] \"conversations\" should be a list of one conversation to go on with", origin);
    list = &all[0];
  }
  require(list->is_array(), ErrorCode::kFormat, "[{}] a conversation is a list of messages, not {}", origin,
          shown(*list));
  return *list;
}

}  // namespace

std::string text_of(const Json& message) {
  if (message["content"].is_string()) return message["content"];
  std::string text;
  for (const Json& part : message["content"]) {
    if (part["type"] == "text" && part["text"].is_string()) text += part["text"].get<std::string>();
  }
  return text;
}

Conversation::Conversation(const std::string& system) : system_(system) {
  clear();
  before_.clear();
}

void Conversation::remember(std::string step) {
  if (before_.size() == kMaxSteps) before_.erase(before_.begin());
  before_.push_back({messages_, pending_, std::move(step)});
}

void Conversation::attach(const std::string& kind, const std::string& path) {
  remember((kind == "image" ? "the picture " : "the clip ") + path);
  pending_.push_back({{"type", kind}, {kind, path}});
}

Json Conversation::with_question(const std::string& question) const {
  Json content = pending_;
  content.push_back({{"type", "text"}, {"text", question}});
  Json messages = messages_;
  messages.push_back({{"role", "user"}, {"content", content}});
  return messages;
}

void Conversation::answered(Json messages, const std::string& answer) {
  const bool again = messages.size() <= messages_.size();
  remember(again ? "the new answer" : "the question \"" + in_short(text_of(messages.back())) + "\"");
  messages.push_back({{"role", "assistant"}, {"content", answer}});
  messages_ = std::move(messages);
  if (!again) pending_ = Json::array();
}

Json Conversation::with_last_question() const {
  Json messages = messages_;
  while (!messages.empty() && !asks(messages.back())) messages.erase(messages.size() - 1);
  return messages.empty() ? Json() : messages;
}

void Conversation::clear() {
  remember("/clear");
  messages_ = Json::array();
  pending_ = Json::array();
  if (!system_.empty()) messages_.push_back({{"role", "system"}, {"content", system_}});
}

std::string Conversation::undo() {
  if (before_.empty()) return "";
  State last = std::move(before_.back());
  before_.pop_back();
  messages_ = std::move(last.messages);
  pending_ = std::move(last.pending);
  return last.step;
}

void Conversation::save(const std::filesystem::path& path) const {
  std::ifstream there(path);
  if (char first = 0; there >> first) {
    require(first == '[' || first == '{', ErrorCode::kInvalidArgument,
            "[{}] is there and no saved conversation: choose another name", path.string());
  }
  AtomicFile file(path);
  file.write(messages_.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  file.commit();
}

std::string Conversation::load(const std::filesystem::path& path) {
  Json loaded = messages_in(parse_json_once(read_file(path, kMaxSavedBytes), path.string()), path.string());
  for (size_t i = 0; i < loaded.size(); ++i)
    check_message(loaded[i], fmt::format("{}: message {}", path.string(), i + 1));
  remember("/load");
  messages_ = Json::array();
  pending_ = Json::array();
  std::string open_question;
  for (size_t i = 0; i < loaded.size(); ++i) {
    if (asks(loaded[i])) {  // each question can be taken back like one that was asked here
      pending_ = media_of(loaded[i]);
      if (i + 1 == loaded.size()) {
        open_question = text_of(loaded[i]);
        break;
      }
      remember("the question \"" + in_short(text_of(loaded[i])) + "\"");
      pending_ = Json::array();
    }
    messages_.push_back(loaded[i]);
  }
  return open_question;
}

}  // namespace vl3::cli
