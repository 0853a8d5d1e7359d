#pragma once
// What shells and readers of manuals get of the program.

#include <CLI/CLI.hpp>

namespace vl3::cli {

// As those of cli.h. Called after all others, whose commands and options these tell.
void add_completions(CLI::App& app);
void add_man(CLI::App& app);

}  // namespace vl3::cli
