#pragma once
// A conversation in the terminal.

#include "request_options.h"

namespace vl3::cli {

// Reads questions from standard input until it ends or /quit. Ctrl-C stops an answer, not the program.
// Commands: /image, /video, /clear, /save, /help, /quit.
void chat(const Engine& engine, Context& context, const RequestOptions& options,
          const GenerationConfig& settings);

}  // namespace vl3::cli
