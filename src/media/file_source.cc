#include "media/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" {
#include <libavformat/avio.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
}

#include <cerrno>
#include <system_error>

#include "base/check.h"

namespace vl3 {
namespace {

constexpr int kBufferBytes = 1 << 16;

}  // namespace

FileSource::FileSource(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  const int error = errno;
  require(fd_ >= 0, error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo,
          "[{}] cannot open: {}", path.string(), std::generic_category().message(error));
  struct stat status {};
  ::fstat(fd_, &status);
  size_ = status.st_size;
  auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
  io_ = avio_alloc_context(buffer, kBufferBytes, 0, this, &read, nullptr, &seek);
  if (io_ == nullptr) {
    av_free(buffer);
    ::close(fd_);
    fail(ErrorCode::kOutOfMemory, "[{}] no memory to read it", path.string());
  }
}

FileSource::~FileSource() {
  av_freep(&io_->buffer);
  avio_context_free(&io_);
  ::close(fd_);
}

void FileSource::rewind() noexcept {
  avio_seek(io_, 0, SEEK_SET);
  io_->eof_reached = 0;
  io_->error = 0;
}

int FileSource::read(void* self, uint8_t* target, int bytes) {
  ssize_t got;
  do got = ::read(static_cast<FileSource*>(self)->fd_, target, static_cast<size_t>(bytes));
  while (got < 0 && errno == EINTR);
  return got > 0 ? static_cast<int>(got) : got == 0 ? AVERROR_EOF : AVERROR(errno);
}

int64_t FileSource::seek(void* self, int64_t offset, int whence) {
  auto* source = static_cast<FileSource*>(self);
  if (whence == AVSEEK_SIZE) return source->size_;
  return ::lseek(source->fd_, offset, whence & ~AVSEEK_FORCE);
}

}  // namespace vl3
