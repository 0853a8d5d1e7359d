// Completions of fish: a line for each option of each command.

#include <fmt/format.h>

#include "completions.h"

namespace vl3::cli {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

constexpr const char* kAt = R"(
# Whether the words before the cursor begin with this command, and none of its own commands follows.
function __videollama3_at
    set -l path
    for word in (commandline -opc)[2..]
        string match -q -- '-*' $word; and continue
        contains -- (string join ' ' $path $word) $__videollama3_commands; or break
        set -a path $word
    end
    test "$path" = "$argv"
end

complete -c videollama3 -f
)";

std::string at(const CommandEntry& command) {
  return "-n " + quoted(fmt::format("__videollama3_at {}", fmt::join(command.path, " ")));
}

// What follows an option, as arguments of fish's complete.
std::string values(const OptionEntry& option) {
  switch (option.kind) {
    case ValueKind::kNone:
      return "";
    case ValueKind::kFile:
      return " -r -F";
    case ValueKind::kFolder:
      return " -x -a '(__fish_complete_directories)'";
    case ValueKind::kChoice: {
      const std::string words = fmt::format("{}", fmt::join(option.choices, " "));
      if (option.delimiter != ',') return " -x -a " + quoted(words);
      return " -x -a " + quoted(fmt::format("(__fish_append , {})", words));
    }
    default:
      return " -x";
  }
}

std::string option_line(const CommandEntry& command, const OptionEntry& option) {
  if (option.positional)
    return option.kind == ValueKind::kFile ? fmt::format("complete -c videollama3 {} -F\n", at(command)) : "";
  std::string names;
  for (const std::string& name : option.names)
    names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  return fmt::format("complete -c videollama3 {}{}{} -d {}\n", at(command), names, values(option),
                     quoted(option.help));
}

}  // namespace

std::string fish_completions(const CommandEntry& table) {
  std::string text = "# Completions of fish for videollama3, made by: videollama3 completions fish\n\n";
  text += "set -g __videollama3_commands";
  for (const CommandEntry* command : all_commands(table)) {
    if (!command->path.empty()) text += " " + quoted(fmt::format("{}", fmt::join(command->path, " ")));
  }
  text += "\n";
  text += kAt;
  for (const CommandEntry* command : all_commands(table)) {
    for (const CommandEntry& inner : command->commands)
      text += fmt::format("complete -c videollama3 {} -a {} -d {}\n", at(*command), inner.path.back(),
                          quoted(inner.summary));
    for (const OptionEntry& option : command->options) text += option_line(*command, option);
  }
  return text;
}

}  // namespace vl3::cli
