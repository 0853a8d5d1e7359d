#pragma once
// Scripts by which shells complete commands, options and their values, out of the table of commands.

#include <string>

#include "command_table.h"

namespace vl3::cli {

// For bash 4.2 or later; needs nothing of the package bash-completion.
std::string bash_completions(const CommandEntry& table);
// The function of the file _videollama3 in a folder of fpath.
std::string zsh_completions(const CommandEntry& table);
std::string fish_completions(const CommandEntry& table);

}  // namespace vl3::cli
