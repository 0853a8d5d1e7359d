#include "chat_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "near_name.h"

namespace vl3::cli {
namespace {

struct MediaNumber {
  const char* name;
  std::optional<double> RequestOptions::*number;
  std::optional<int64_t> RequestOptions::*integer;
  double least;
  const char* help;
};

constexpr MediaNumber kMediaNumbers[] = {
    {"fps", &RequestOptions::fps, nullptr, 1e-6, "frames of a clip to look at per second"},
    {"num_frames", nullptr, &RequestOptions::num_frames, 1, "frames to look at in all, in place of fps"},
    {"min_frames", nullptr, &RequestOptions::min_frames, 1, "fewest frames with fps"},
    {"max_frames", nullptr, &RequestOptions::max_frames, 1, "most frames with fps"},
    {"start_time", &RequestOptions::start_time, nullptr, 0, "look from this second on"},
    {"end_time", &RequestOptions::end_time, nullptr, 0, "look up to this second"},
    {"min_pixels", nullptr, &RequestOptions::min_pixels, 1, "smallest area a picture is resized to"},
    {"max_pixels", nullptr, &RequestOptions::max_pixels, 1, "largest area a picture is resized to"},
};

std::string as_setting(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string value_of(const RequestOptions& options, const MediaNumber& row) {
  if (row.number != nullptr && options.*row.number) return fmt::format("{}", *(options.*row.number));
  if (row.integer != nullptr && options.*row.integer) return fmt::format("{}", *(options.*row.integer));
  return "";
}

}  // namespace

ChatSettings::ChatSettings(RequestOptions options, GenerationConfig generation)
    : first_(std::move(options)),
      options_(first_),
      first_generation_(std::move(generation)),
      generation_(first_generation_) {}

bool ChatSettings::set_media(const std::string& name, const std::string& value) {
  for (const MediaNumber& row : kMediaNumbers) {
    if (name != row.name) continue;
    RequestOptions changed = options_;
    if (value == "default") {
      if (row.number != nullptr) changed.*row.number = first_.*row.number;
      if (row.integer != nullptr) changed.*row.integer = first_.*row.integer;
    } else {
      const Json parsed = Json::parse(value, nullptr, false);
      const bool fits = row.integer != nullptr ? parsed.is_number_integer() : parsed.is_number();
      require(fits && parsed.get<double>() >= row.least && parsed.get<double>() < 1e15,
              ErrorCode::kInvalidArgument, "[/set] {} should be {} of at least {}, not {}", name,
              row.integer != nullptr ? "a whole number" : "a number", row.least, value);
      if (row.number != nullptr) changed.*row.number = parsed.get<double>();
      if (row.integer != nullptr) changed.*row.integer = parsed.get<int64_t>();
      // One of them decides how many frames there are.
      if (name == "fps") changed.num_frames.reset();
      if (name == "num_frames") changed.fps.reset();
    }
    options_ = std::move(changed);
    return true;
  }
  return false;
}

void ChatSettings::set(const std::string& given, const std::string& value) {
  const std::string name = as_setting(given);
  if (set_media(name, value)) return;
  const auto settings = generation_settings();
  const bool known = std::any_of(settings.begin(), settings.end(),
                                 [&](const SettingInfo& setting) { return setting.name == name; });
  if (!known) unknown(given);
  Json changed = typed_;
  const Json parsed = Json::parse(value, nullptr, false);
  if (value == "default")
    changed.erase(name);
  else
    changed[name] = parsed.is_discarded() ? Json(value) : parsed;
  generation_ = GenerationConfig::from_json(changed, first_generation_, "/set");
  typed_ = std::move(changed);
}

void ChatSettings::unknown(const std::string& name) {
  std::vector<std::string> names;
  for (const MediaNumber& row : kMediaNumbers) names.emplace_back(row.name);
  for (const SettingInfo& setting : generation_settings()) names.push_back(setting.name);
  const std::string meant = near_name(name, names);
  fail(ErrorCode::kInvalidArgument, "[/set] there is no setting {}{}", name,
       meant.empty() ? "; docs/generation.md lists them" : "; did you mean " + meant + "?");
}

std::string ChatSettings::shown(const std::string& given) const {
  const std::string name = as_setting(given);
  const Json generation = generation_.to_json();
  std::string text;
  for (const MediaNumber& row : kMediaNumbers) {
    const std::string value = value_of(options_, row);
    if (name == row.name)
      return fmt::format("{} = {} ({})\n", name, value.empty() ? "the checkpoint's" : value, row.help);
    if (!value.empty()) text += fmt::format("{} = {}\n", row.name, value);
  }
  for (const SettingInfo& setting : generation_settings()) {
    const bool differs = generation.contains(setting.name);
    const std::string value = differs ? vl3::shown(generation[setting.name]) : setting.fallback;
    if (setting.name == name)
      return fmt::format("{} = {} ({}; {})\n", name, value, setting.help, setting.range);
    if (differs) text += fmt::format("{} = {}\n", setting.name, value);
  }
  if (!name.empty()) unknown(given);
  return text.empty() ? "every setting is at its default\n" : text;
}

}  // namespace vl3::cli
