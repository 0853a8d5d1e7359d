#include "hub_models.h"

#include <fmt/format.h>

#include <utility>

namespace vl3::cli {
namespace {

// What marks the options, by the value of ModelParts.
constexpr const char* kMarks[] = {"model", "model-settings", "named-model"};

std::optional<ModelParts> mark_of(CLI::Option& option) {
  for (const ModelParts parts : {ModelParts::kAll, ModelParts::kSettings, ModelParts::kNamed}) {
    try {
      if (option.get_validator(kMarks[static_cast<size_t>(parts)]) != nullptr) return parts;
    } catch (const CLI::OptionNotFound&) {
    }
  }
  return {};
}

// "NAME=word" → its "NAME=", else "". What lacks its name is left as it is: the command refuses it.
std::string before_name(const std::string& word, ModelParts parts) {
  if (parts != ModelParts::kNamed) return "";
  const size_t sign = word.find('=');
  return sign == std::string::npos ? word : word.substr(0, sign + 1);
}

}  // namespace

CLI::Option* takes_model(CLI::Option* option, ModelParts parts) {
  return option->transform([](const std::string& word) { return word; }, "",
                           kMarks[static_cast<size_t>(parts)]);
}

std::string named_model(const std::string& name_or_folder, bool settings_alone) {
  std::error_code ignored;
  if (name_or_folder.empty() || std::filesystem::exists(name_or_folder, ignored)) return name_or_folder;
  HubTerminal terminal;
  HubOptions options = terminal.options();
  if (settings_alone) options.exclude = {"*.safetensors"};
  return resolve_model(name_or_folder, options).string();
}

void name_models(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    const std::optional<ModelParts> parts = mark_of(*option);
    if (option->count() == 0 || !parts.has_value()) continue;
    std::vector<std::string> words = option->results();
    for (std::string& word : words) {
      const std::string before = before_name(word, *parts);
      word = before + named_model(word.substr(before.size()), *parts == ModelParts::kSettings);
    }
    option->clear();
    option->add_result(std::move(words));
    option->run_callback();
  }
}

std::string called_name(const std::filesystem::path& folder) {
  const std::filesystem::path whole = std::filesystem::absolute(folder).lexically_normal();
  const std::filesystem::path path = whole.has_filename() ? whole : whole.parent_path();
  const std::filesystem::path repository = path.parent_path().parent_path();
  constexpr std::string_view kModels = "models--";
  std::string name = repository.filename().string();
  if (path.parent_path().filename() != "snapshots" || !name.starts_with(kModels))
    return path.filename().string();
  name.erase(0, kModels.size());
  if (const size_t dashes = name.find("--"); dashes != std::string::npos) name.replace(dashes, 2, 1, '/');
  return name;
}

HubOptions HubTerminal::options() {
  HubOptions options;
  options.cancelled = [this] { return interrupt_.interrupted(); };
  options.notes = [this](const std::string& note) {
    progress_.clear();
    fmt::print(stderr, "{}\n", note);
  };
  options.progress = [this](const HubProgress& now) {
    constexpr int64_t kMega = 1'000'000;
    progress_.update("fetch MB", now.bytes / kMega, now.total / kMega);
  };
  return options;
}

}  // namespace vl3::cli
