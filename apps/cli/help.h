#pragma once
// How the program's help looks, and what is said to those who mistype. Every command has the same parts: what
// it does, usage, examples, what people need most, and the rest under headings.

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vl3::cli {

// Headings that several commands share.
inline constexpr const char* kMostUsed = "Most used";
inline constexpr const char* kOutput = "Input and output";
inline constexpr const char* kModelAndMachine = "Model and machine";

// Sets the command's help: lines of a shell behind "videollama3 ", each as {line, what it does}. Called when
// all options are there; those of no group go under "Options".
struct Example {
  std::string line, what;
};
void finish_help(CLI::App& command, std::vector<Example> examples = {});

// Puts options, by their names, under this heading.
void put_under(CLI::App& command, const char* heading, const std::vector<std::string>& names);

// What is told, on stderr, about words that could not be parsed: what is wrong, what may have been meant, and
// where the help is. args: those of main, without the program's name.
std::string usage_error(const CLI::App& app, const std::vector<std::string>& args,
                        const CLI::ParseError& error);

// text in lines of at most width columns, each after the first behind indent spaces. Words are never cut.
std::string wrapped(std::string_view text, size_t indent, size_t width);

}  // namespace vl3::cli
