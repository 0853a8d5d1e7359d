#include "history_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <utility>

namespace vl3::cli {
namespace {

constexpr size_t kMaxLines = 1000;

std::string read_all(int descriptor) {
  constexpr size_t kPiece = 1u << 16;
  std::string text, piece(kPiece, 0);
  for (ssize_t got = 0; (got = ::read(descriptor, piece.data(), piece.size())) > 0;)
    text.append(piece, 0, static_cast<size_t>(got));
  return text;
}

}  // namespace

std::filesystem::path history_path() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  // Relative paths are invalid there and are to be ignored, says the XDG specification.
  if (state != nullptr && state[0] == '/') return std::filesystem::path(state) / "videollama3" / "history";
  if (home != nullptr && home[0] == '/')
    return std::filesystem::path(home) / ".local" / "state" / "videollama3" / "history";
  return {};
}

HistoryFile::HistoryFile(std::filesystem::path path) : path_(std::move(path)) {}

int HistoryFile::open() const {
  if (path_.empty()) return -1;
  std::error_code ignored;
  const std::filesystem::path folder = path_.parent_path();
  if (!std::filesystem::exists(folder, ignored)) {
    std::filesystem::create_directories(folder, ignored);
    ::chmod(folder.c_str(), 0700);
  }
  const int descriptor = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0) return -1;
  ::fchmod(descriptor, 0600);  // also where it was there with other rights
  ::flock(descriptor, LOCK_EX);
  return descriptor;
}

std::vector<std::string> HistoryFile::read() {
  std::vector<std::string> lines;
  const int descriptor = open();
  if (descriptor < 0) return lines;
  std::istringstream text(read_all(descriptor));
  for (std::string line; std::getline(text, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  const bool cut = lines.size() > 2 * kMaxLines;
  if (lines.size() > kMaxLines) lines.erase(lines.begin(), lines.end() - static_cast<ptrdiff_t>(kMaxLines));
  if (cut && ::ftruncate(descriptor, 0) == 0) {
    std::string kept;
    for (const std::string& line : lines) kept += line + "\n";
    if (::write(descriptor, kept.data(), kept.size()) < 0) lines.clear();
  }
  ::close(descriptor);
  if (!lines.empty()) last_ = lines.back();
  return lines;
}

void HistoryFile::add(const std::string& line) {
  if (line.empty() || line == last_ || line.find('\n') != std::string::npos) return;
  last_ = line;
  const int descriptor = open();
  if (descriptor < 0) return;
  const std::string row = line + "\n";
  if (::write(descriptor, row.data(), row.size()) < 0) path_.clear();  // a full disk: no more of it
  ::close(descriptor);
}

}  // namespace vl3::cli
