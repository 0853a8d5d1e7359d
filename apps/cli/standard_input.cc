#include "standard_input.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/check.h"

namespace vl3::cli {
namespace {

std::string system_words() { return std::generic_category().message(errno); }

int open_nameless(const std::filesystem::path& folder) {
#if defined(O_TMPFILE)
  const int descriptor = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor >= 0) return descriptor;
#endif
  std::string name = (folder / "videollama3-XXXXXX").string();  // not every file system has O_TMPFILE
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

void write_all(int descriptor, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(descriptor, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    require(written > 0, ErrorCode::kIo, "[standard input] cannot be kept in a temporary file: {}",
            system_words());
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

}  // namespace

bool names_standard_input(const std::string& path) {
  return path == "-" || path == "/dev/stdin" || path == "/dev/fd/0" || path == "/proc/self/fd/0";
}

StandardInputFile::StandardInputFile(uint64_t max_bytes) {
  require(isatty(STDIN_FILENO) == 0, ErrorCode::kInvalidArgument,
          "[standard input] is a terminal: pipe a picture or clip into it, or name a file");
  descriptor_ = open_nameless(std::filesystem::temp_directory_path());
  require(descriptor_ >= 0, ErrorCode::kIo, "[standard input] cannot make a temporary file in {}: {}",
          std::filesystem::temp_directory_path().string(), system_words());
  constexpr size_t kPiece = 1u << 20;
  std::vector<char> piece(kPiece);
  uint64_t total = 0;
  try {
    for (;;) {
      const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      require(got >= 0, ErrorCode::kIo, "[standard input] cannot be read: {}", system_words());
      if (got == 0) break;
      total += static_cast<uint64_t>(got);
      require(total <= max_bytes, ErrorCode::kLimitExceeded,
              "[standard input] has more than {} bytes, the limit of --limit-file", max_bytes);
      write_all(descriptor_, piece.data(), static_cast<size_t>(got));
    }
    require(total > 0, ErrorCode::kInvalidArgument, "[standard input] is empty, no picture or clip");
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
  path_ = "/proc/self/fd/" + std::to_string(descriptor_);
}

StandardInputFile::~StandardInputFile() { ::close(descriptor_); }

std::string StandardInputFile::shown(std::string text) const {
  for (size_t at = text.find(path_); at != std::string::npos; at = text.find(path_, at))
    text.replace(at, path_.size(), "standard input");
  return text;
}

}  // namespace vl3::cli
