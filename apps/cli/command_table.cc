#include "command_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "option_words.h"

namespace vl3::cli {
namespace {

std::vector<std::string> split_at_bars(const std::string& text) {
  std::vector<std::string> words;
  for (size_t at = 0; at <= text.size();) {
    const size_t bar = std::min(text.find('|', at), text.size());
    words.push_back(text.substr(at, bar - at));
    at = bar + 1;
  }
  return words;
}

// Words to choose from are in lower case: "f32|auto", and not "FILE|JSON".
bool are_choices(const std::vector<std::string>& words) {
  return words.size() > 1 && std::all_of(words.begin(), words.end(), [](const std::string& word) {
           return !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
             return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '_' || c == '.';
           });
         });
}

void set_kind(OptionEntry& entry, const std::string& type) {
  const std::vector<std::string> words = split_at_bars(type);
  if (type.empty()) {
    entry.kind = ValueKind::kNone;
  } else if (type == "boolean") {
    entry.kind = ValueKind::kChoice;
    entry.choices = {"true", "false"};
  } else if (are_choices(words)) {
    entry.kind = ValueKind::kChoice;
    entry.choices = words;
  } else if (type.find("FILE") != std::string::npos ||
             (entry.positional && type == "TEXT" && entry.names[0] != "NAME")) {
    // Words without an option are files and folders; those that are not say what they are (QUESTION, NAME).
    entry.kind = ValueKind::kFile;
  } else if (type == "FOLDER" || type == "MODEL") {
    entry.kind = ValueKind::kFolder;
  } else {
    entry.kind = ValueKind::kText;
  }
}

OptionEntry option_entry(const CLI::Option& option) {
  OptionEntry entry;
  entry.positional = option.get_positional();
  const std::string type = value_of(option);
  if (entry.positional) {
    entry.names = {positional_name(option)};
  } else {
    for (const std::string& name : option.get_snames()) entry.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) entry.names.push_back("--" + name);
    entry.value = type;
  }
  set_kind(entry, type);
  entry.help = option.get_description() + told_default(option);
  entry.heading = option.get_group();
  entry.variable = option.get_envname();
  entry.required = option.get_required();
  entry.many = option.get_expected_max() > 1;
  entry.delimiter = option.get_delimiter();
  return entry;
}

CommandEntry command_entry(const CLI::App& app, std::vector<std::string> path) {
  CommandEntry entry;
  entry.path = std::move(path);
  entry.summary = app.get_description();
  entry.heading = app.get_group();
  entry.footer = app.get_footer();
  entry.examples = examples_of(app);
  for (const std::string& heading : app.get_groups()) {
    for (const CLI::Option* option : app.get_options()) {
      const bool ours = option->get_group() == heading && !heading.empty();
      if (ours && option != app.get_help_ptr()) entry.options.push_back(option_entry(*option));
    }
  }
  OptionEntry help;
  help.names = {"-h", "--help"};
  help.help = "the help of this command";
  help.heading = "Options";
  entry.options.push_back(help);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group().empty()) continue;
    std::vector<std::string> inner = entry.path;
    inner.push_back(command->get_name());
    entry.commands.push_back(command_entry(*command, std::move(inner)));
  }
  return entry;
}

void collect(const CommandEntry& entry, std::vector<const CommandEntry*>& all) {
  all.push_back(&entry);
  for (const CommandEntry& command : entry.commands) collect(command, all);
}

}  // namespace

std::string CommandEntry::name() const {
  return path.empty() ? "videollama3" : fmt::format("videollama3 {}", fmt::join(path, " "));
}

CommandEntry command_table(const CLI::App& app) { return command_entry(app, {}); }

std::vector<const CommandEntry*> all_commands(const CommandEntry& table) {
  std::vector<const CommandEntry*> all;
  collect(table, all);
  return all;
}

}  // namespace vl3::cli
