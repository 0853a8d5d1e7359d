#include "media_arguments.h"

#include <filesystem>

#include "media_files.h"

namespace vl3::cli {
namespace {

bool is_option(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

// The name of a long option before "=".
std::string name_of(const std::string& word) { return word.substr(0, word.find('=')); }

bool takes_value(const CLI::App& command, const std::string& word) {
  if (word.find('=') != std::string::npos) return false;
  const CLI::Option* option = command.get_option_no_throw(word);
  return option != nullptr && option->get_type_size() != 0;
}

bool is_checkpoint(const std::string& word) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::path(checkpoint_folder(word)) / "config.json", ignored);
}

// positionals: how many words without an option came before, of which the first is the model.
bool belongs(const std::string& word, int positionals) {
  if (word == "-" || word.empty()) return word == "-";
  if (is_option(word)) return false;
  std::error_code ignored;
  const bool exists = std::filesystem::exists(word, ignored);
  if (positionals == 0 && (is_checkpoint(word) || !exists)) return false;
  if (looks_like_file(word)) return true;
  return exists && media_kind(word, MediaLimits()) != MediaKind::kNone;
}

}  // namespace

std::vector<std::string> spread_media(const CLI::App& app, const std::vector<std::string>& args) {
  if (args.empty()) return args;
  const auto commands = app.get_subcommands([&](const CLI::App* one) { return one->get_name() == args[0]; });
  const CLI::App* command = commands.empty() ? nullptr : commands[0];
  if (command == nullptr || command->get_option_no_throw("--image") == nullptr) return args;
  std::vector<std::string> spread = {args[0]};
  int positionals = 0;
  for (size_t i = 1; i < args.size(); ++i) {
    const std::string& word = args[i];
    if (word == "--") {
      spread.insert(spread.end(), args.begin() + static_cast<ptrdiff_t>(i), args.end());
      break;
    }
    spread.push_back(word);
    if (!is_option(word)) {
      ++positionals;
      continue;
    }
    if (takes_value(*command, word) && i + 1 < args.size()) spread.push_back(args[++i]);
    const std::string name = name_of(word);
    if (name != "--image" && name != "--video") continue;
    while (i + 1 < args.size() && belongs(args[i + 1], positionals)) {
      spread.push_back(name);
      spread.push_back(args[++i]);
    }
  }
  return spread;
}

}  // namespace vl3::cli
