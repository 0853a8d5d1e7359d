#pragma once
// Lines that are edited on a terminal, through libedit (docs/decisions/chat.md).

#include <memory>

#include "line_reader.h"

namespace vl3::cli {

// Null where there is nothing to draw on: neither stderr nor stdout is a terminal.
std::unique_ptr<LineReader> make_line_editor(const LineReaderOptions& options);

}  // namespace vl3::cli
