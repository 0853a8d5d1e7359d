#pragma once
// What was typed in earlier chats.

#include <filesystem>
#include <string>
#include <vector>

namespace vl3::cli {

// $XDG_STATE_HOME/videollama3/history, or ~/.local/state/…; empty without a home.
std::filesystem::path history_path();

// Lines in a file that only its owner may read (0600). Several chats may add to it at once: a line is one
// append. What cannot be read or written is passed over: a chat goes on without history.
class HistoryFile {
 public:
  explicit HistoryFile(std::filesystem::path path);  // empty: nothing is kept
  // The last lines, oldest first; cuts the file to them when it has become twice as long.
  std::vector<std::string> read();
  void add(const std::string& line);  // without its line's end; empty ones and repeated ones are left out

 private:
  int open() const;
  std::filesystem::path path_;
  std::string last_;
};

}  // namespace vl3::cli
