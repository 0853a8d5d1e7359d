#include "text/media_tokens.h"

#include <initializer_list>
#include <limits>

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
    // Only what is recognised as a whole can stand for anything.
    if (tokenizer.is_added(id)) return tokenizer.id_to_token(id);
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

MediaTokenIds read_media_token_ids(const fs::path& folder) {
  constexpr int64_t kImage = 151655, kVideo = 151656;  // the reference's defaults
  const Json json = read_object(folder / "config.json");
  const JsonView config(json, (folder / "config.json").string());
  const auto id = [&](const char* key, int64_t fallback) {
    return config.integer(key, fallback, 0, std::numeric_limits<int32_t>::max());
  };
  if (config.has("image_token_index")) return {id("image_token_index", -1), id("image_token_index", -1)};
  if (config.has("image_token_id") || config.has("video_token_id") || config.has("vision_config"))
    return {id("image_token_id", kImage), id("video_token_id", kVideo)};
  return {};
}

}  // namespace vl3
