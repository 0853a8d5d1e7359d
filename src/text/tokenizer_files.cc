#include "text/tokenizer_files.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text_file.h"
#include "text/unicode.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

std::string shown_token(std::string_view token) { return to_utf8(token.substr(0, 60)); }

// A value of tokenizer_config.json that names a token: its text, or an object that has it.
std::string token_text(const Json& value, std::string_view origin, std::string_view key) {
  if (value.is_string()) return value.get<std::string>();
  const auto content = value.is_object() ? value.find("content") : value.end();
  require(value.is_object() && content != value.end() && content->is_string(), ErrorCode::kFormat,
          "[{}] {} should be a token, not {}", origin, key, shown(value));
  return content->get<std::string>();
}

AddedToken read_added(const std::string& key, const Json& value, const std::string& origin) {
  AddedToken token;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token.id);
  require(error == std::errc() && end == key.data() + key.size() && token.id >= 0 &&
              token.id <= Vocabulary::kMaxId,
          ErrorCode::kFormat, "[{}] added_tokens_decoder: \"{}\" should be an id in 0 ... {}", origin,
          shown_token(key), Vocabulary::kMaxId);
  const JsonView view(value, fmt::format("{}: added_tokens_decoder[\"{}\"]", origin, key));
  require(view.has("content"), ErrorCode::kFormat, "[{}] has no \"content\"", view.origin());
  token.content = view.string("content", "");
  token.special = view.boolean("special", false);
  token.normalized = view.boolean("normalized", !token.special);
  token.lstrip = view.boolean("lstrip", false);
  token.rstrip = view.boolean("rstrip", false);
  token.single_word = view.boolean("single_word", false);
  return token;
}

// The id of a token that the configuration calls special. One that is neither added nor in the vocabulary
// gets the next id, as in the reference.
int32_t special_token(const std::string& content, TokenizerSpec& spec) {
  for (AddedToken& token : spec.added) {
    if (token.content != content) continue;
    token.special = true;
    return static_cast<int32_t>(token.id);
  }
  AddedToken token;
  token.content = content;
  token.special = true;
  int64_t next = spec.vocabulary.size();
  for (const AddedToken& other : spec.added) next = std::max(next, other.id + 1);
  token.id = spec.vocabulary.find_spelling(content).value_or(static_cast<int32_t>(next));
  spec.added.push_back(token);
  return static_cast<int32_t>(token.id);
}

void read_special_tokens(const JsonView& config, bool qwen2, TokenizerSpec& spec) {
  for (const char* key :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    const std::string_view name(key);
    std::string content;
    if (const Json* value = config.find(name)) {
      content = token_text(*value, config.origin(), name);
    } else if (qwen2 && !config.json().contains(name) &&
               (name == "unk_token" || name == "eos_token" || name == "pad_token")) {
      content = "<|endoftext|>";  // the defaults of the reference's class; null is none
    }
    if (content.empty()) continue;
    const int32_t id = special_token(content, spec);
    if (name == "bos_token") spec.bos_id = id;
    if (name == "eos_token") spec.eos_id = id;
    if (name == "pad_token") spec.pad_id = id;
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const Json* list = config.find(key);
    if (list == nullptr) continue;
    require(list->is_array() || list->is_object(), ErrorCode::kFormat,
            "[{}] \"{}\" should be a list of tokens, not {}", config.origin(), key, shown(*list));
    for (const Json& value : *list) special_token(token_text(value, config.origin(), key), spec);
  }
}

}  // namespace

std::pair<std::string_view, std::string_view> split_merge(std::string_view line, std::string_view origin,
                                                          std::string_view field, size_t index) {
  const size_t space = line.find(' ');
  require(space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
              line.find(' ', space + 1) == std::string_view::npos,
          ErrorCode::kFormat, "[{}] {}[{}] should be two tokens with a space between, not \"{}\"", origin,
          field, index, shown_token(line));
  return {line.substr(0, space), line.substr(space + 1)};
}

Bpe::Merge find_merge(const Vocabulary& vocabulary, std::string_view left, std::string_view right,
                      std::string_view origin, std::string_view field, size_t index) {
  const auto token = [&](std::string_view spelling) {
    const auto id = vocabulary.find_spelling(spelling);
    require(id.has_value(), ErrorCode::kFormat, "[{}] {}[{}] names \"{}\", which is not in the vocabulary",
            origin, field, index, shown_token(spelling));
    return *id;
  };
  std::string joined;
  joined.reserve(left.size() + right.size());
  joined.append(left).append(right);
  return {token(left), token(right), token(joined)};
}

void load_vocabulary_files(const fs::path& vocab, const fs::path& merges, TokenizerSpec& spec) {
  spec.origin = vocab.string();
  const std::string text = read_text(resolve_link_stub(vocab), kMaxTokenizerBytes);
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const auto error = parser.parse(text).get(document);
  require(error == simdjson::SUCCESS, ErrorCode::kFormat, "[{}] is not valid JSON ({} bytes): {}",
          spec.origin, text.size(), simdjson::error_message(error));
  simdjson::dom::object object;
  require(document.get(object) == simdjson::SUCCESS, ErrorCode::kFormat,
          "[{}] should be an object of tokens and their ids", spec.origin);
  spec.vocabulary.reserve(text.size() / 16, text.size() / 2);
  for (const auto& field : object) {
    int64_t id = 0;
    require(field.value.get(id) == simdjson::SUCCESS, ErrorCode::kFormat,
            "[{}] \"{}\" should have an integer as id", spec.origin, shown_token(field.key));
    spec.vocabulary.add(field.key, id, spec.origin);
  }

  const std::string lines = read_text(resolve_link_stub(merges), kMaxTokenizerBytes);
  require(is_utf8(lines), ErrorCode::kFormat, "[{}] is not UTF-8", merges.string());
  std::string_view rest = lines;
  for (size_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("#version")) continue;
    const auto [left, right] = split_merge(line, merges.string(), "line", number);
    spec.merges.push_back(find_merge(spec.vocabulary, left, right, merges.string(), "line", number));
  }
}

void load_tokenizer_config(const fs::path& path, bool from_json, TokenizerSpec& spec) {
  const Json json = parse_json(read_file(resolve_link_stub(path), kMaxTokenizerBytes), path.string());
  const JsonView config(json, path.string());
  const std::string kind = config.string("tokenizer_class", "Qwen2Tokenizer");
  const bool qwen2 = kind.starts_with("Qwen2Tokenizer");
  require(from_json || qwen2, ErrorCode::kUnsupported,
          "[{}] tokenizer_class is \"{}\", and there is no tokenizer.json; supported without: "
          "\"Qwen2Tokenizer\"",
          path.string(), kind);
  if (const Json* list = config.find("added_tokens_decoder")) {
    const JsonView view(*list, path.string() + ": added_tokens_decoder");
    std::vector<AddedToken> tokens;
    for (const auto& [key, value] : list->items()) tokens.push_back(read_added(key, value, path.string()));
    std::stable_sort(tokens.begin(), tokens.end(),
                     [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
    if (!qwen2) {
      for (AddedToken& old : spec.added) {
        const bool replaced = std::any_of(tokens.begin(), tokens.end(), [&](const AddedToken& token) {
          return token.content == old.content;
        });
        if (!replaced) tokens.push_back(std::move(old));
      }
    }
    spec.added = std::move(tokens);
  }
  read_special_tokens(config, qwen2, spec);
  for (const char* key : {"add_bos_token", "add_eos_token", "add_prefix_space"}) {
    const bool wanted = config.boolean(key, false);
    const bool harmless = (std::string_view(key) == "add_bos_token" && !spec.bos_id) ||
                          (std::string_view(key) == "add_eos_token" && !spec.eos_id) ||
                          (std::string_view(key) == "add_prefix_space" && spec.steps.back().prefix_space);
    require(!wanted || harmless, ErrorCode::kUnsupported, "[{}] {} is true; supported: false", path.string(),
            key);
  }
}

TokenizerSpec load_tokenizer_spec(const fs::path& folder) {
  const fs::path json = folder / "tokenizer.json", vocab = folder / "vocab.json",
                 merges = folder / "merges.txt", config = folder / "tokenizer_config.json";
  std::error_code ignored;
  const bool from_json = fs::exists(json, ignored);
  if (!from_json) {
    require(fs::is_directory(folder, ignored), ErrorCode::kNotFound, "[{}] is not a folder", folder.string());
    for (const auto& [name, what] :
         {std::pair{"tokenizer.model", "a SentencePiece"}, std::pair{"spiece.model", "a SentencePiece"},
          std::pair{"qwen.tiktoken", "a tiktoken"}, std::pair{"tekken.json", "a Tekken"},
          std::pair{"vocab.txt", "a WordPiece"}}) {
      require(!fs::exists(folder / name, ignored) || fs::exists(vocab, ignored), ErrorCode::kUnsupported,
              "[{}] has {} tokenizer ({}), which the engine does not read; supported: tokenizer.json, or "
              "vocab.json and merges.txt, of byte-level BPE",
              folder.string(), what, name);
    }
    for (const fs::path& path : {vocab, merges}) {
      require(fs::exists(path, ignored), ErrorCode::kNotFound,
              "[{}] has no tokenizer.json, and no {}: a tokenizer is that file, or vocab.json and merges.txt",
              folder.string(), path.filename().string());
    }
  }
  TokenizerSpec spec;
  if (from_json) {
    load_tokenizer_json(json, spec);
  } else {
    load_vocabulary_files(vocab, merges, spec);
  }
  const bool configured = fs::exists(config, ignored);
  if (configured) load_tokenizer_config(config, from_json, spec);
  // Without a configuration the files are all there is to know: the class's default for its end token.
  if (!from_json && !configured) spec.eos_id = spec.pad_id = special_token("<|endoftext|>", spec);
  for (const AddedToken& token : spec.added) {
    require(!token.content.empty(), ErrorCode::kFormat, "[{}] the added token with the id {} is empty",
            spec.origin, token.id);
    spec.vocabulary.add_added(token.content, token.id, token.special, spec.origin);
  }
  return spec;
}

}  // namespace vl3
