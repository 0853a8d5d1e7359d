#pragma once
// Lines of a chat: edited on a terminal, as they come otherwise.

#include <memory>
#include <string>

namespace vl3::cli {

enum class LineEnd { kLine, kDropped, kEnd };  // kDropped: Ctrl-C; kEnd: the end of input, or Ctrl-D

class LineReader {
 public:
  virtual ~LineReader() = default;
  // The next line, without its end; prompt is shown on a terminal.
  virtual LineEnd read(const std::string& prompt, std::string* line) = 0;
};

struct LineReaderOptions {
  bool history = true;  // kept in history_path(), and shown again by the arrow keys
};

// With editing, history and completion of paths and commands where standard input is a terminal that can do
// it (and there is one to draw on); else plain.
std::unique_ptr<LineReader> make_line_reader(const LineReaderOptions& options);

// One thing that somebody says.
struct Entry {
  std::string text;
  bool block = false;  // between lines of """: no command
};

// Lines joined where they end in a backslash, or gathered between """ and """. kDropped: what was begun is
// forgotten. At the end of input a block that was begun counts as ended.
LineEnd read_entry(LineReader& reader, Entry* entry);

}  // namespace vl3::cli
