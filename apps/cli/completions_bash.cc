// Completions of bash: a table of what each command has, and a function that walks the words before the
// cursor.

#include <fmt/format.h>

#include "completions.h"

namespace vl3::cli {
namespace {

constexpr const char* kHead = R"(# Completions of bash for videollama3, made by: videollama3 completions bash

)";

// Of the line that is typed: which command it is, whether the word at the cursor is a value and of what, and
// how many words without an option come before. Files and folders are left to readline, which knows quotes
// and ~.
constexpr const char* kFunctions = R"(
_videollama3_offer() {  # what the option or place $2 of command $1 takes
  local cur=$3 kind='' words='' before=''
  _videollama3_value "$1 $2"
  case $kind in
    file) compopt -o default ;;
    folder) compopt -o dirnames ;;
    list)
      compopt -o nospace
      if [[ $cur == *,* ]]; then before=${cur%,*},; fi
      mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "${cur##*,}") ;;
    choice) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
  esac
}

_videollama3() {
  local cur=${COMP_WORDS[COMP_CWORD]} command='' word expects='' sticky='' only_places=''
  local commands options valued several
  local -i i place=0
  COMPREPLY=()
  _videollama3_command ''
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $word == = ]]; then continue; fi
    if [[ -n $expects ]]; then
      expects=''
    elif [[ -n $only_places ]]; then
      place+=1
    elif [[ $word == -- ]]; then
      only_places=1 sticky=''
    elif [[ $word == -?* ]]; then
      sticky=''
      if [[ " $several " == *" $word "* ]]; then sticky=$word; fi
      if [[ " $valued " == *" $word "* ]]; then expects=$word; fi
    elif [[ -n $commands && " $commands " == *" $word "* ]]; then
      command=${command:+$command }$word
      _videollama3_command "$command"
    else
      place+=1
    fi
  done
  if [[ $cur == = ]]; then cur=''; fi
  if [[ -n $expects ]]; then
    _videollama3_offer "$command" "$expects" "$cur"
  elif [[ $cur == -* && -z $only_places ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
  elif [[ -n $commands ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
  elif [[ -n $sticky ]]; then
    _videollama3_offer "$command" "$sticky" "$cur"
  else
    _videollama3_offer "$command" "$place" "$cur"
  fi
}

complete -F _videollama3 videollama3
)";

std::string path_of(const CommandEntry& command) { return fmt::format("{}", fmt::join(command.path, " ")); }

std::string command_row(const CommandEntry& command) {
  std::vector<std::string> commands, options, valued, several;
  for (const CommandEntry& inner : command.commands) commands.push_back(inner.path.back());
  for (const OptionEntry& option : command.options) {
    if (option.positional) continue;
    for (const std::string& name : option.names) {
      options.push_back(name);
      if (option.kind != ValueKind::kNone) valued.push_back(name);
      if (option.many && option.delimiter == '\0') several.push_back(name);
    }
  }
  return fmt::format(
      "    '{}')\n      commands='{}'\n      options='{}'\n      valued='{}'\n      several='{}' ;;\n",
      path_of(command), fmt::join(commands, " "), fmt::join(options, " "), fmt::join(valued, " "),
      fmt::join(several, " "));
}

std::string value_of_kind(const OptionEntry& option) {
  switch (option.kind) {
    case ValueKind::kFile:
      return "kind=file";
    case ValueKind::kFolder:
      return "kind=folder";
    case ValueKind::kChoice:
      return fmt::format("kind={} words='{}'", option.delimiter == ',' ? "list" : "choice",
                         fmt::join(option.choices, " "));
    default:
      return "";
  }
}

std::string value_rows(const CommandEntry& command) {
  std::string text;
  const std::string path = path_of(command);
  int place = 0;
  for (const OptionEntry& option : command.options) {
    const std::string value = value_of_kind(option);
    std::vector<std::string> patterns;
    if (option.positional) {
      // Behind the last one that may come several times, every further word is one.
      patterns.push_back(
          fmt::format("'{} {}'{}", path, place++, option.many ? fmt::format("|'{} '[0-9]*", path) : ""));
    } else {
      for (const std::string& name : option.names) patterns.push_back(fmt::format("'{} {}'", path, name));
    }
    if (!value.empty()) text += fmt::format("    {}) {} ;;\n", fmt::join(patterns, "|"), value);
  }
  return text;
}

}  // namespace

std::string bash_completions(const CommandEntry& table) {
  std::string text = kHead;
  text += "_videollama3_command() {  # what command $1 has, into variables of the caller\n  case $1 in\n";
  for (const CommandEntry* command : all_commands(table)) text += command_row(*command);
  text +=
      "  esac\n}\n\n_videollama3_value() {  # the same of an option or place: \"COMMAND OPTION\"\n  case $1 "
      "in\n";
  for (const CommandEntry* command : all_commands(table)) text += value_rows(*command);
  return text + "  esac\n}\n" + kFunctions;
}

}  // namespace vl3::cli
