#pragma once
// A file as FFmpeg reads it: no protocol, no name, just bytes.

#include <cstdint>
#include <filesystem>

struct AVIOContext;

namespace vl3 {

class FileSource {
 public:
  // Throws kNotFound, kIo, kOutOfMemory.
  explicit FileSource(const std::filesystem::path& path);
  ~FileSource();
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  AVIOContext* io() const noexcept { return io_; }
  int64_t size() const noexcept { return size_; }  // bytes
  // To the first byte, whatever was read and however it failed.
  void rewind() noexcept;

 private:
  static int read(void* self, uint8_t* target, int bytes);
  static int64_t seek(void* self, int64_t offset, int whence);

  int fd_;
  int64_t size_ = 0;
  AVIOContext* io_ = nullptr;
};

}  // namespace vl3
