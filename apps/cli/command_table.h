#pragma once
// The commands of the program and their options as a table: what man pages and the completions of shells are
// made of. It is read from the parser itself, so that neither can lack an option.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "help.h"

namespace vl3::cli {

// What a shell offers where a value is to be typed.
enum class ValueKind { kNone, kText, kFile, kFolder, kChoice };

struct OptionEntry {
  std::vector<std::string> names;  // "-i", "--input"; of a positional "MODEL"
  std::string value;               // "N", "FILE", "f32|auto"; "" for a flag and a positional
  std::string help;                // one line, with default
  std::string heading;             // of the help
  std::string variable;            // of the environment, that stands for it; "" where there is none
  ValueKind kind = ValueKind::kNone;
  std::vector<std::string> choices;  // of kChoice
  bool positional = false, required = false, many = false;
  char delimiter = '\0';  // between several values in one word; 0: none
};

struct CommandEntry {
  std::vector<std::string> path;  // {} for the program, {"cache", "ls"} for videollama3 cache ls
  std::string summary, heading, footer;
  std::vector<OptionEntry> options;  // in the order of the help
  std::vector<Example> examples;
  std::vector<CommandEntry> commands;

  std::string name() const;  // "videollama3 cache ls"
};

// All of app, but for what is hidden (of no group).
CommandEntry command_table(const CLI::App& app);

// The table and all commands in it, the outer ones first.
std::vector<const CommandEntry*> all_commands(const CommandEntry& table);

}  // namespace vl3::cli
