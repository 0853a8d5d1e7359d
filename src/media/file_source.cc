#include "media/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" {
#include <libavformat/avio.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
}

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/check.h"

namespace vl3 {
namespace {

constexpr int kBufferBytes = 1 << 16;

}  // namespace

FileSource::FileSource(const MediaSource& source) : source_(source) {
  require(source.kind() != MediaSource::Kind::kFrames, ErrorCode::kInternal, "[{}] is frames, not bytes",
          source.name());
  if (source.kind() == MediaSource::Kind::kFile) {
    fd_ = ::open(source.path().c_str(), O_RDONLY | O_CLOEXEC);
    const int error = errno;
    require(fd_ >= 0, error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo,
            "[{}] cannot open: {}", source.name(), std::generic_category().message(error));
    struct stat status {};
    ::fstat(fd_, &status);
    size_ = status.st_size;
  } else {
    size_ = static_cast<int64_t>(source.size_bytes());
  }
  auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
  io_ = avio_alloc_context(buffer, kBufferBytes, 0, this, &read, nullptr, &seek);
  if (io_ == nullptr) {
    av_free(buffer);
    close();
    fail(ErrorCode::kOutOfMemory, "[{}] no memory to read it", source.name());
  }
}

FileSource::~FileSource() {
  av_freep(&io_->buffer);
  avio_context_free(&io_);
  close();
}

void FileSource::close() noexcept {
  if (fd_ >= 0) ::close(fd_);
}

void FileSource::rewind() noexcept {
  avio_seek(io_, 0, SEEK_SET);
  io_->eof_reached = 0;
  io_->error = 0;
}

int FileSource::read(void* self, uint8_t* target, int bytes) {
  auto& source = *static_cast<FileSource*>(self);
  if (const int open_file = source.source_.descriptor(); open_file >= 0) {
    ssize_t got;
    do got = ::pread(open_file, target, static_cast<size_t>(bytes), source.at_);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return got == 0 ? AVERROR_EOF : AVERROR(errno);
    source.at_ += got;
    return static_cast<int>(got);
  }
  if (source.fd_ < 0) {
    const int64_t count = std::min<int64_t>(bytes, source.size_ - source.at_);
    if (count <= 0) return AVERROR_EOF;
    std::memcpy(target, source.source_.data().data() + source.at_, static_cast<size_t>(count));
    source.at_ += count;
    return static_cast<int>(count);
  }
  ssize_t got;
  do got = ::read(source.fd_, target, static_cast<size_t>(bytes));
  while (got < 0 && errno == EINTR);
  return got > 0 ? static_cast<int>(got) : got == 0 ? AVERROR_EOF : AVERROR(errno);
}

int64_t FileSource::seek(void* self, int64_t offset, int whence) {
  auto* source = static_cast<FileSource*>(self);
  if (whence == AVSEEK_SIZE) return source->size_;
  whence &= ~AVSEEK_FORCE;
  if (source->fd_ >= 0) return ::lseek(source->fd_, offset, whence);
  const int64_t from = whence == SEEK_CUR ? source->at_ : whence == SEEK_END ? source->size_ : 0;
  if (offset < -from || offset > INT64_MAX - from) return AVERROR(EINVAL);
  source->at_ = from + offset;  // beyond the end nothing is read
  return source->at_;
}

}  // namespace vl3
