#pragma once
// What the help of the program says of its options, for others that tell the same.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "help.h"

namespace vl3::cli {

// What finish_help was given last; {} for a command without.
const std::vector<Example>& examples_of(const CLI::App& command);

// "N", "FILE", or the words to choose from with | between them: what an option takes. "" for a flag.
std::string value_of(const CLI::Option& option);

// " (default: 1)"; "" where there is none to tell.
std::string told_default(const CLI::Option& option);

// What the usage calls a word without an option: "MODEL".
std::string positional_name(const CLI::Option& option);

}  // namespace vl3::cli
