#pragma once
// Paths in text that people typed or dropped into a terminal.

#include <optional>
#include <string>
#include <string_view>

namespace vl3::cli {

// A file: address or ~/… as a path; text is without quotes and backslashes.
std::string as_path(const std::string& text);

// One word of a text, from begin to end, and the path it stands for.
struct PathWord {
  size_t begin = 0, end = 0;
  std::string path;
  bool quoted = false;
};

// The word at text[begin]: '…' and "…" and backslashes as a shell has them, ~/ as the home folder, file:///…
// with its %20 decoded. None at a space, at the end, and where a quote is not closed.
std::optional<PathWord> path_word(std::string_view text, size_t begin);

// The same, with bare spaces in a name: the longest piece of the line from begin on, up to the end of some
// word, for which exists(path) is true. None where there is none.
std::optional<PathWord> spaced_path(std::string_view text, size_t begin,
                                    bool (*exists)(const std::string& path));

}  // namespace vl3::cli
