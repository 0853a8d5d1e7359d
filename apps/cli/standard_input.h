#pragma once
// A picture or clip that comes through a pipe.

#include <cstdint>
#include <string>

namespace vl3::cli {

// "-", "/dev/stdin" and its other names.
bool names_standard_input(const std::string& path);

// Standard input, read to its end into a file that has no name in any folder, so that it is gone with the
// process however that ends. Decoders need files: they read a picture's head first and clips out of order.
class StandardInputFile {
 public:
  // Throws kInvalidArgument where standard input is a terminal or empty, kLimitExceeded above max_bytes, kIo.
  explicit StandardInputFile(uint64_t max_bytes);
  ~StandardInputFile();
  StandardInputFile(const StandardInputFile&) = delete;
  StandardInputFile& operator=(const StandardInputFile&) = delete;

  // As long as this object lives, and in this process alone.
  const std::string& path() const noexcept { return path_; }
  // text with "standard input" where it has the path, for messages.
  std::string shown(std::string text) const;

 private:
  int descriptor_ = -1;
  std::string path_;
};

}  // namespace vl3::cli
