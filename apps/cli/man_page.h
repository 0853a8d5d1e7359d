#pragma once
// Manual pages, in the macros man(7), out of the table of commands.

#include <string>

#include "command_table.h"

namespace vl3::cli {

// "videollama3-cache-ls.1"
std::string man_file_name(const CommandEntry& command);

// The page of one command. whole: the program's table, for what is named beside it. version: "0.1.0";
// date: "2026-11-30".
std::string man_page(const CommandEntry& command, const CommandEntry& whole, const std::string& version,
                     const std::string& date);

}  // namespace vl3::cli
