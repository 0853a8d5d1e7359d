#pragma once
// The file that a batch writes: a line an answer, whole lines alone, each id once, whatever ended the run
// before.

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <unordered_set>

#include "base/json.h"

namespace vl3::serve {

// Thread-safe. Locked against other processes as long as it is open.
class BatchFile {
 public:
  // Makes the file, or reads what is there: a last line that was torn is cut off. Throws kIo, kFormat for a
  // file of something else, kInvalidArgument where another process has it.
  explicit BatchFile(const std::filesystem::path& path);
  ~BatchFile();
  BatchFile(const BatchFile&) = delete;
  BatchFile& operator=(const BatchFile&) = delete;

  // True for an id the first time, unless the file has it: whoever is told so answers it.
  bool claim(const std::string& id);
  // Likewise the line of the input that has no id.
  bool claim_line(int64_t line);
  int64_t found() const noexcept { return found_; }  // lines that were there

  // Throws kIo (a full disk): what was written of the line is taken back.
  void append(const Json& row);
  void flush();  // to the disk

 private:
  void read_found();
  void note(const Json& row, int64_t line);

  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0, found_ = 0;
  std::mutex mutex_;
  std::unordered_set<std::string> claimed_;  // hashes of ids: they may be many and long
};

}  // namespace vl3::serve
