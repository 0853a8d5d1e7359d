#include "line_reader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "line_editor.h"

namespace vl3::cli {
namespace {

constexpr const char* kPrompt = "> ";
constexpr const char* kMorePrompt = ". ";
constexpr std::string_view kFence = "\"\"\"";

class PlainReader : public LineReader {
 public:
  LineEnd read(const std::string& prompt, std::string* line) override {
    if (terminal_) {
      fmt::print(stderr, "{}", prompt);
      std::fflush(stderr);
    }
    const bool got = static_cast<bool>(std::getline(std::cin, *line));
    if (!got) return LineEnd::kEnd;
    if (line->ends_with('\r')) line->pop_back();  // a file from Windows
    return LineEnd::kLine;
  }

 private:
  bool terminal_ = isatty(STDIN_FILENO) == 1;
};

bool can_edit() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDIN_FILENO) == 1 && terminal != nullptr && *terminal != 0 &&
         std::string_view(terminal) != "dumb";
}

bool is_space(char c) { return c == ' ' || c == '\t'; }

// Without spaces at its end.
std::string_view trimmed_end(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The lines up to one that ends in """; first: what stood behind the opening one.
LineEnd read_block(LineReader& reader, std::string_view first, Entry* entry) {
  entry->block = true;
  entry->text = first;
  bool more = !first.empty();  // nothing stands in the opening line mostly
  for (std::string line;;) {
    const LineEnd end = reader.read(kMorePrompt, &line);
    if (end == LineEnd::kDropped) return end;
    if (end == LineEnd::kEnd) break;
    const std::string_view text = trimmed_end(line);
    const bool closes = text.ends_with(kFence);
    const std::string_view kept =
        closes ? text.substr(0, text.size() - kFence.size()) : std::string_view(line);
    if (!closes || !kept.empty()) {
      if (more) entry->text += '\n';
      entry->text += kept;
      more = true;
    }
    if (closes) break;
  }
  return LineEnd::kLine;
}

}  // namespace

std::unique_ptr<LineReader> make_line_reader(const LineReaderOptions& options) {
  if (can_edit()) {
    if (auto editor = make_line_editor(options)) return editor;
  }
  return std::make_unique<PlainReader>();
}

LineEnd read_entry(LineReader& reader, Entry* entry) {
  *entry = {};
  std::string line;
  const LineEnd first = reader.read(kPrompt, &line);
  if (first != LineEnd::kLine) return first;
  if (line.starts_with(kFence)) {
    const std::string_view rest = trimmed_end(std::string_view(line).substr(kFence.size()));
    if (!rest.ends_with(kFence)) return read_block(reader, rest, entry);
    entry->block = true;  // """all in one line"""
    entry->text = rest.substr(0, rest.size() - kFence.size());
    return LineEnd::kLine;
  }
  entry->text = line;
  while (entry->text.ends_with('\\')) {
    entry->text.back() = '\n';
    const LineEnd end = reader.read(kMorePrompt, &line);
    if (end == LineEnd::kDropped) return end;
    if (end == LineEnd::kEnd) break;
    entry->text += line;
  }
  return LineEnd::kLine;
}

}  // namespace vl3::cli
