#include "vl3/chat_template.h"

#include <cctype>
#include <mutex>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "base/text_file.h"
#include "jinja/interpreter.h"
#include "jinja/parser.h"
#include "text/content_parts.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMaxFileBytes = 16u << 20;

std::optional<std::string> read_optional(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  return read_text(resolve_link_stub(path), kMaxFileBytes);
}

// The "chat_template" of a JSON file: a text, or a list of named ones with a default.
std::optional<std::string> template_in(const Json& json, const std::string& origin) {
  const Json* value = JsonView(json, origin).find("chat_template");
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  require(value->is_array(), ErrorCode::kFormat,
          "[{}] \"chat_template\" should be a string or a list, not {}", origin, shown(*value));
  for (const Json& entry : *value) {
    const JsonView view(entry, origin + ": chat_template");
    if (view.string("name", "") == "default") return view.string("template", "");
  }
  fail(ErrorCode::kFormat, "[{}] \"chat_template\" has none that is called \"default\"", origin);
}

// bos_token, eos_token, …: strings, or objects with the string as "content".
Json special_tokens_in(const Json& config) {
  Json tokens = Json::object();
  for (const auto& [key, value] : config.items()) {
    if (!key.ends_with("_token")) continue;
    if (value.is_string())
      tokens[key] = value;
    else if (value.is_object() && value.contains("content") && value["content"].is_string())
      tokens[key] = value["content"];
  }
  return tokens;
}

}  // namespace

struct ChatTemplate::Parts {
  std::string source, name;
  Json special_tokens;
  TemplateLimits limits;
  std::shared_ptr<const jinja::Node> tree;
  std::optional<MediaTokens> tokens;  // of with_text_contents
  // What the template takes, found out when a list of parts comes for the first time.
  mutable std::once_flag tried;
  mutable bool takes_parts = true, takes_media = true;

  jinja::Text render(jinja::Value messages, bool add_generation_prompt, const Json& extra) const;
  void try_contents() const;
  jinja::Value values_of(const Json& messages) const;
};

jinja::Text ChatTemplate::Parts::render(jinja::Value messages, bool add_generation_prompt,
                                        const Json& extra) const {
  using jinja::Value;
  jinja::Dict variables;
  for (const auto& [key, value] : special_tokens.items())
    variables.emplace_back(jinja::Text(key), Value::from_json(value, false));
  variables.emplace_back("tools", Value::none());
  variables.emplace_back("documents", Value::none());
  if (extra.is_object()) {
    for (const auto& [key, value] : extra.items())
      variables.emplace_back(jinja::Text(key), Value::from_json(value, true));
  }
  variables.emplace_back("messages", std::move(messages));
  variables.emplace_back("add_generation_prompt", Value(add_generation_prompt));
  return jinja::render(*tree, std::move(variables), name, limits);
}

// Renders one message with its content as text, as a list with that text, and as a list with a picture too. A
// template that takes text alone fails on a list, leaves it out, or prints it as a list.
void ChatTemplate::Parts::try_contents() const {
  constexpr std::string_view kText = "Xq7Zv";
  const auto written = [&](Json content) -> std::string {
    const Json messages = Json::array({{{"role", "user"}, {"content", std::move(content)}}});
    try {
      return render(jinja::Value::from_json(messages, true), false, nullptr).bytes;
    } catch (const Error&) {
      return {};
    }
  };
  const auto count = [](const std::string& text, std::string_view word) {
    int times = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++times;
    return times;
  };
  const Json text = {{"type", "text"}, {"text", kText}}, picture = {{"type", "image"}};
  const std::string plain = written(kText), listed = written(Json::array({text})),
                    shown = written(Json::array({picture, text}));
  if (count(plain, kText) == 0) return;  // text is not what it takes
  takes_parts = count(listed, kText) > 0 && count(listed, "type") <= count(plain, "type");
  takes_media = takes_parts && count(shown, tokens->image) > count(listed, tokens->image);
}

jinja::Value ChatTemplate::Parts::values_of(const Json& messages) const {
  using jinja::Value;
  jinja::List list;
  for (size_t i = 0; i < messages.size(); ++i) {
    list.push_back(Value::from_json(messages[i], true));
    const auto content = messages[i].find("content");
    if (!tokens || content == messages[i].end() || !content->is_array()) continue;
    std::call_once(tried, [this] { try_contents(); });
    if (has_media(*content) ? takes_media : takes_parts) continue;
    const std::string where = fmt::format("{}: messages[{}]", name, i);
    list.back().set(jinja::Text("content", true), Value(text_of_parts(*content, *tokens, where)));
  }
  return Value::list(std::move(list));
}

ChatTemplate::ChatTemplate(std::string source, const Json& special_tokens, std::string name,
                           const TemplateLimits& limits) {
  require(static_cast<int64_t>(source.size()) <= limits.max_source_bytes, ErrorCode::kLimitExceeded,
          "[{}] {} bytes are above max_source_bytes, {}", name, source.size(), limits.max_source_bytes);
  auto parts = std::make_shared<Parts>();
  parts->source = std::move(source);
  parts->name = std::move(name);
  parts->special_tokens = special_tokens;
  parts->limits = limits;
  parts->tree = jinja::parse(parts->source, parts->name, limits.max_depth);
  parts_ = std::move(parts);
}

ChatTemplate ChatTemplate::with_text_contents(MediaTokens tokens) const {
  ChatTemplate other = *this;
  auto parts = std::make_shared<Parts>();
  parts->source = parts_->source;
  parts->name = parts_->name;
  parts->special_tokens = parts_->special_tokens;
  parts->limits = parts_->limits;
  parts->tree = parts_->tree;
  parts->tokens = std::move(tokens);
  other.parts_ = std::move(parts);
  return other;
}

ChatTemplate ChatTemplate::with_source(std::string source, std::string name) const {
  const ChatTemplate other(std::move(source), parts_->special_tokens, std::move(name), parts_->limits);
  return parts_->tokens ? other.with_text_contents(*parts_->tokens) : other;
}

ChatTemplate ChatTemplate::from_pretrained(const fs::path& given, const TemplateLimits& limits) {
  return read_template(model_folder(given), limits).with_text_contents({});
}

ChatTemplate ChatTemplate::read_template(const fs::path& folder, const TemplateLimits& limits) {
  Json tokens = Json::object();
  std::optional<std::string> fallback;
  const fs::path config_path = folder / "tokenizer_config.json", json_path = folder / "chat_template.json";
  if (const auto text = read_optional(config_path)) {
    const Json config = parse_json(*text, config_path.string());
    require(config.is_object(), ErrorCode::kFormat, "[{}] should be a JSON object", config_path.string());
    tokens = special_tokens_in(config);
    fallback = template_in(config, config_path.string());
  }
  if (auto source = read_optional(folder / "chat_template.jinja")) {
    return ChatTemplate(std::move(*source), tokens, (folder / "chat_template.jinja").string(), limits);
  }
  if (const auto text = read_optional(json_path)) {
    if (auto source = template_in(parse_json(*text, json_path.string()), json_path.string())) {
      return ChatTemplate(std::move(*source), tokens, json_path.string(), limits);
    }
  }
  require(fallback.has_value(), ErrorCode::kNotFound,
          "[{}] has no chat template: neither chat_template.jinja nor chat_template.json nor one in "
          "tokenizer_config.json",
          folder.string());
  return ChatTemplate(std::move(*fallback), tokens, config_path.string(), limits);
}

std::vector<ChatTemplate::Piece> ChatTemplate::render_pieces(const Json& messages, bool add_generation_prompt,
                                                             const Json& extra) const {
  require(messages.is_array(), ErrorCode::kInvalidArgument, "[{}] messages should be a list, not {}", name(),
          shown(messages));
  for (size_t i = 0; i < messages.size(); ++i) {
    require(messages[i].is_object(), ErrorCode::kInvalidArgument,
            "[{}] messages[{}] should be an object, not {}", name(), i, shown(messages[i]));
  }
  const jinja::Text text = parts_->render(parts_->values_of(messages), add_generation_prompt, extra);
  std::vector<Piece> pieces;
  for (size_t i = 0; i < text.bytes.size();) {
    size_t end = i + 1;
    while (end < text.bytes.size() && text.tainted[end] == text.tainted[i]) ++end;
    pieces.push_back({text.bytes.substr(i, end - i), text.tainted[i] != 0});
    i = end;
  }
  return pieces;
}

namespace {

// Nobody writes it, and the space at its end tells whether the template cuts white space off.
constexpr std::string_view kContinued = "\x02\x03\x02 ",
                           kContinuedCut = kContinued.substr(0, kContinued.size() - 1);

// The last text of the message, marked.
void mark_last_text(Json& message, size_t index) {
  const auto content = message.find("content");
  Json* last = nullptr;
  if (content != message.end() && content->is_string()) last = &*content;
  if (content != message.end() && content->is_array()) {
    for (Json& part : *content) {
      if (part.is_string()) last = &part;
      if (part.is_object() && part.contains("text") && part["text"].is_string()) last = &part["text"];
    }
  }
  require(last != nullptr, ErrorCode::kInvalidArgument,
          "[messages[{}].content] continue_final_message: the last message has no text to go on with", index);
  *last = last->get<std::string>() + std::string(kContinued);
}

}  // namespace

std::vector<ChatTemplate::Piece> ChatTemplate::render_continued(const Json& messages,
                                                                const Json& extra) const {
  require(messages.is_array() && !messages.empty() && messages.back().is_object(),
          ErrorCode::kInvalidArgument, "[messages] continue_final_message needs a last message");
  Json marked = messages;
  mark_last_text(marked.back(), marked.size() - 1);
  std::vector<Piece> pieces = render_pieces(marked, false, extra);
  while (!pieces.empty()) {
    std::string& text = pieces.back().text;
    const size_t mark = text.rfind(kContinuedCut);
    if (mark == std::string::npos) {
      pieces.pop_back();
      continue;
    }
    const bool kept = text.substr(mark).starts_with(kContinued);
    text.resize(mark);
    while (!kept && !text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
      text.pop_back();
    if (text.empty()) pieces.pop_back();
    return pieces;
  }
  fail(ErrorCode::kInvalidArgument,
       "[{}] continue_final_message: the template does not show the text of the last message", name());
}

std::string ChatTemplate::render(const Json& messages, bool add_generation_prompt, const Json& extra) const {
  std::string text;
  for (const Piece& piece : render_pieces(messages, add_generation_prompt, extra)) text += piece.text;
  return text;
}

const std::string& ChatTemplate::source() const { return parts_->source; }
const std::string& ChatTemplate::name() const { return parts_->name; }

}  // namespace vl3
