// Completions of zsh: a function with _arguments for each command.

#include <fmt/format.h>

#include "completions.h"

namespace vl3::cli {
namespace {

// Inside single quotes of the shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Inside a specification of _arguments, where these characters have a meaning.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string function_of(const CommandEntry& command) {
  return command.path.empty() ? "_videollama3" : fmt::format("_videollama3_{}", fmt::join(command.path, "_"));
}

std::string action(const OptionEntry& option) {
  switch (option.kind) {
    case ValueKind::kFile:
      return "_files";
    case ValueKind::kFolder:
      return "_files -/";
    case ValueKind::kChoice:
      return option.delimiter == ',' ? fmt::format("_values -s , value {}", fmt::join(option.choices, " "))
                                     : fmt::format("({})", fmt::join(option.choices, " "));
    default:
      return " ";
  }
}

std::string specifications(const CommandEntry& command) {
  std::string text;
  for (const OptionEntry& option : command.options) {
    const std::string what = escaped(option.help);
    if (option.positional) {
      text += fmt::format("    {} \\\n", quoted(fmt::format("{}:{}:{}", option.many ? "*" : "",
                                                            escaped(option.names[0]), action(option))));
      continue;
    }
    for (const std::string& name : option.names) {
      const bool flag = option.kind == ValueKind::kNone;
      const bool is_long = name.starts_with("--");
      text += fmt::format(
          "    {} \\\n",
          quoted(fmt::format("{}{}{}[{}]{}", option.many ? "*" : "", name, flag || !is_long ? "" : "=", what,
                             flag ? "" : fmt::format(":{}:{}", escaped(option.value), action(option)))));
    }
  }
  return text;
}

std::string function_text(const CommandEntry& command) {
  if (command.commands.empty())
    return fmt::format("{}() {{\n  _arguments -s -S \\\n{}    && return 0\n}}\n\n", function_of(command),
                       specifications(command));
  std::string list, cases;
  for (const CommandEntry& inner : command.commands) {
    list += fmt::format("    {}\n", quoted(escaped(inner.path.back()) + ":" + inner.summary));
    cases += fmt::format("        {}) {} ;;\n", inner.path.back(), function_of(inner));
  }
  return fmt::format(
      "{}() {{\n  local context state state_descr line\n  typeset -A opt_args\n  local -a commands=(\n{}  )\n"
      "  _arguments -C \\\n{}    '1: :->command' \\\n    '*:: :->rest' && return 0\n"
      "  case $state in\n    command) _describe -t commands command commands ;;\n"
      "    rest)\n      case $words[1] in\n{}      esac ;;\n  esac\n}}\n\n",
      function_of(command), list, specifications(command), cases);
}

}  // namespace

std::string zsh_completions(const CommandEntry& table) {
  std::string text =
      "#compdef videollama3\n# Completions of zsh for videollama3, made by: videollama3 completions zsh\n\n";
  for (const CommandEntry* command : all_commands(table)) text += function_text(*command);
  // As a file of fpath the script is the function's first call; read by source, it is to be told.
  return text +
         "if [[ $funcstack[1] == _videollama3 ]]; then\n  _videollama3 \"$@\"\nelse\n"
         "  compdef _videollama3 videollama3\nfi\n";
}

}  // namespace vl3::cli
