#pragma once
// Several pictures or clips behind one --image or --video.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace vl3::cli {

// The words of a command line with the option repeated for every file that follows one:
// {"--image", "a.png", "b.png", "What?"} → {"--image", "a.png", "--image", "b.png", "What?"}.
// The word right behind the option always belongs to it. Further ones do as long as they are no option and
// are an existing picture or clip, or look like a file (media_files.h) and are no folder of a checkpoint:
// a mistyped name is then an error and never the question. What comes behind "--" is left alone.
std::vector<std::string> spread_media(const CLI::App& app, const std::vector<std::string>& args);

}  // namespace vl3::cli
