#pragma once
// A file, or bytes in memory, as FFmpeg reads them: no protocol, no name, just bytes.

#include <cstdint>

#include "vl3/media_source.h"

struct AVIOContext;

namespace vl3 {

class FileSource {
 public:
  // Throws kNotFound, kIo, kOutOfMemory; kInternal for frames.
  explicit FileSource(const MediaSource& source);
  ~FileSource();
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  AVIOContext* io() const noexcept { return io_; }
  const MediaSource& source() const noexcept { return source_; }
  int64_t size() const noexcept { return size_; }  // bytes
  // To the first byte, whatever was read and however it failed.
  void rewind() noexcept;

 private:
  static int read(void* self, uint8_t* target, int bytes);
  static int64_t seek(void* self, int64_t offset, int whence);

  void close() noexcept;

  MediaSource source_;
  int fd_ = -1;     // of a file
  int64_t at_ = 0;  // in bytes
  int64_t size_ = 0;
  AVIOContext* io_ = nullptr;
};

}  // namespace vl3
