#include "text/media_tokens.h"

#include <initializer_list>

#include "base/file.h"
#include "base/json.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMaxFileBytes = 16u << 20;

Json read_object(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return Json::object();
  Json json = parse_json(read_file(resolve_link_stub(path), kMaxFileBytes), path.string());
  const JsonView checked(json, path.string());
  return json;
}

std::string named(const Json& config, const std::string& key, std::string fallback) {
  for (const Json* place :
       {&config, config.contains("extra_special_tokens") ? &config["extra_special_tokens"] : &config}) {
    if (!place->is_object() || !place->contains(key)) continue;
    const Json& value = (*place)[key];
    if (value.is_string()) return value.get<std::string>();
    if (value.is_object() && value.contains("content") && value["content"].is_string())
      return value["content"].get<std::string>();
  }
  return fallback;
}

// token where the tokenizer has it, else the one of the id that one of the keys gives.
std::string known(const std::string& token, const Json& config, std::initializer_list<const char*> keys,
                  const Tokenizer& tokenizer) {
  if (tokenizer.token_to_id(token)) return token;
  for (const char* key : keys) {
    if (!config.contains(key) || !config[key].is_number_integer()) continue;
    const auto id = config[key].get<int64_t>();
    if (id < 0 || id >= tokenizer.vocab_size()) continue;
    const auto place = static_cast<int32_t>(id);
    // Only what is recognised as a whole can stand for anything.
    if (tokenizer.is_added(place)) return tokenizer.id_to_token(place);
  }
  fail(ErrorCode::kFormat,
       "[tokenizer] has no token \"{}\", and config.json names no added token of it with {}", token,
       fmt::join(keys, " or "));
}

}  // namespace

MediaTokens find_media_tokens(const fs::path& folder, const Tokenizer& tokenizer) {
  const Json settings = read_object(folder / "tokenizer_config.json"),
             config = read_object(folder / "config.json");
  const MediaTokens usual;
  return {known(named(settings, "image_token", usual.image), config, {"image_token_id", "image_token_index"},
                tokenizer),
          known(named(settings, "video_token", usual.video), config, {"video_token_id", "image_token_index"},
                tokenizer)};
}

}  // namespace vl3
