#pragma once
// Bytes that are no file, for code that reads files.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace vl3 {

// A file without a name in any folder. It can be opened, more than once and by any thread, under path() by
// this process, as long as somebody holds it, and cannot be written.
class MemoryFile {
 public:
  // name stands for it in messages. Throws kIo or kOutOfMemory with the system's words, kUnsupported where
  // the system has no such files.
  static std::shared_ptr<const MemoryFile> make(std::string_view bytes, std::string name);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  const std::string& name() const noexcept { return name_; }

 private:
  MemoryFile(int descriptor, std::string name);
  int descriptor_;
  std::filesystem::path path_;
  std::string name_;
};

}  // namespace vl3
