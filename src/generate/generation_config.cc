#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "base/near_names.h"
#include "generate/settings_table.h"
#include "vl3/generation.h"

namespace vl3 {
namespace {

constexpr int64_t kDefaultNewTokens = 20;  // the reference's
constexpr uint64_t kMaxConfigBytes = 1 << 20;

std::string_view nearest_name(std::string_view name) {
  std::string_view best;
  size_t least = SIZE_MAX;
  for (const SettingRow& row : setting_rows()) {
    if (our_name_of(name) == row.name) return row.name;
    const size_t distance = edit_distance(name, row.name);
    if (distance < least) least = distance, best = row.name;
  }
  return best;
}

bool is_neutral(const Json& value, const ForeignSetting& setting) {
  if (value.is_null() || *setting.neutral == '\0') return true;
  const Json neutral = Json::parse(setting.neutral);
  return value == neutral || (value.is_array() && value.empty() && neutral.is_null());
}

struct Source {
  std::string_view origin;
  ErrorCode code;      // of wrong values
  bool pass_unknowns;  // a file of a checkpoint may hold what other programs put there
};

// What a file may say that changes nothing here, though a caller would be told: no id (-1), and outputs that
// the reference's generate would return beside the answer.
bool is_nothing_in_a_file(const std::string& name, const Json& value) {
  return (name.ends_with("_token_id") && value == -1) || name.starts_with("output_");
}

void read_one(GenerationConfig& config, const std::string& name, const Json& value, const Source& source) {
  if (source.pass_unknowns && is_nothing_in_a_file(name, value)) return;
  for (const SettingRow& row : setting_rows()) {
    if (name != row.name) continue;
    if (!value.is_null()) row.read(config, value, {source.origin, name, source.code, row.range});
    return;
  }
  for (const ForeignSetting& foreign : foreign_settings()) {
    if (name != foreign.name) continue;
    require(is_neutral(value, foreign), ErrorCode::kUnsupported,
            "[{}] {} = {} is a setting of the reference that this engine does not have", source.origin, name,
            shown(value));
    return;
  }
  require(source.pass_unknowns, ErrorCode::kInvalidArgument,
          "[{}] there is no setting \"{}\"; nearest: \"{}\"", source.origin, name, nearest_name(name));
}

GenerationConfig read_settings(const Json& settings, const GenerationConfig& base, const Source& source) {
  require(settings.is_object(), source.code, "[{}] should be an object of settings, not {}", source.origin,
          shown(settings));
  GenerationConfig config = base;
  for (const auto& [name, value] : settings.items()) read_one(config, name, value, source);
  try {
    config.validate();
  } catch (const Error& error) {
    fail(source.code, "[{}] {}", source.origin, error.what());
  }
  return config;
}

std::string markdown_cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

}  // namespace

GenerationConfig GenerationConfig::from_json(const Json& settings, const GenerationConfig& base,
                                             std::string_view origin) {
  return read_settings(settings, base, {origin, ErrorCode::kInvalidArgument, false});
}

GenerationConfig GenerationConfig::from_pretrained(const std::filesystem::path& folder,
                                                   const GenerationConfig& base) {
  const auto path = resolve_link_stub(model_folder(folder) / "generation_config.json");
  if (!std::filesystem::exists(path)) return base;
  const std::string origin = path.string();
  return read_settings(parse_json(read_file(path, kMaxConfigBytes), origin), base,
                       {origin, ErrorCode::kFormat, true});
}

Json GenerationConfig::to_json() const {
  static const GenerationConfig kDefaults;
  Json settings = Json::object();
  for (const SettingRow& row : setting_rows()) {
    Json value = row.write(*this);
    if (value != row.write(kDefaults)) settings[row.name] = std::move(value);
  }
  return settings;
}

void GenerationConfig::validate() const {
  // A program may have set the members directly: what the table says of a value from JSON holds for them too.
  for (const SettingRow& row : setting_rows()) {
    const Json value = row.write(*this);
    GenerationConfig scratch;
    if (!value.is_null())
      row.read(scratch, value, {"settings", row.name, ErrorCode::kInvalidArgument, row.range});
  }
  const bool beams = num_beams > 1;
  require(
      num_return_sequences == 1 || samples() || beams, ErrorCode::kInvalidArgument,
      "[settings] num_return_sequences = {} needs do_sample (and a temperature above 0) or num_beams > 1: "
      "greedy answers are all the same",
      num_return_sequences);
  require(!beams || num_return_sequences <= num_beams, ErrorCode::kInvalidArgument,
          "[settings] num_return_sequences = {} is more than num_beams = {}", num_return_sequences,
          num_beams);
  require(!beams || prompt_lookup_num_tokens == 0, ErrorCode::kInvalidArgument,
          "[settings] prompt_lookup_num_tokens = {} does not go with num_beams = {}",
          prompt_lookup_num_tokens, num_beams);
}

int64_t GenerationConfig::new_token_limit(int64_t prompt_length) const {
  if (max_new_tokens) return *max_new_tokens;
  if (!max_length) return kDefaultNewTokens;
  require(*max_length > prompt_length, ErrorCode::kInvalidArgument,
          "[settings] max_length = {} leaves nothing behind a prompt of {} tokens; raise it, or set "
          "max_new_tokens",
          *max_length, prompt_length);
  return *max_length - prompt_length;
}

std::span<const SettingInfo> generation_settings() {
  static const std::vector<SettingInfo> kTable = [] {
    std::vector<SettingInfo> table;
    for (const SettingRow& row : setting_rows()) {
      const Json fallback = row.write(GenerationConfig());
      table.push_back(
          {row.name, row.type, fallback.is_null() ? "none" : fallback.dump(), row.range.text(), row.help});
    }
    return table;
  }();
  return kTable;
}

std::string generation_settings_markdown() {
  std::string text = "| setting | type | default | range | what it does |\n|---|---|---|---|---|\n";
  for (const SettingInfo& info : generation_settings()) {
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", info.name, markdown_cell(info.type), info.fallback,
                        info.range, markdown_cell(info.help));
  }
  return text;
}

const char* to_string(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace vl3
