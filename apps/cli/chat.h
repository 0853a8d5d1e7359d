#pragma once
// A conversation in the terminal.

#include "request_options.h"

namespace vl3::cli {

// Reads questions from standard input until it ends or /quit; what each line means is in chat_input.h and
// line_reader.h. Ctrl-C stops an answer, or drops the line that is typed, not the program. No error ends the
// conversation. Standard output gets the answers and nothing else.
void chat(const Engine& engine, Context& context, const RequestOptions& options,
          const GenerationConfig& settings);

}  // namespace vl3::cli
