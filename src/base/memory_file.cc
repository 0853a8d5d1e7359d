#include "base/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/check.h"

namespace vl3 {

#ifdef __linux__

std::shared_ptr<const MemoryFile> MemoryFile::make(std::string_view bytes, std::string name) {
  const auto words = [] { return std::generic_category().message(errno); };
  const int descriptor = ::memfd_create("videollama3", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  require(descriptor >= 0, ErrorCode::kIo, "[{}] cannot be held in memory: {}", name, words());
  const std::shared_ptr<const MemoryFile> file(new MemoryFile(descriptor, std::move(name)));
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    require(written > 0, errno == ENOMEM || errno == ENOSPC ? ErrorCode::kOutOfMemory : ErrorCode::kIo,
            "[{}] cannot be held in memory: {}", file->name_, words());
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  require(::fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0,
          ErrorCode::kIo, "[{}] cannot be held in memory: {}", file->name_, words());
  require(::access(file->path_.c_str(), R_OK) == 0, ErrorCode::kIo,
          "[{}] cannot be held in memory: {} is not there to be read", file->name_, file->path_.string());
  return file;
}

#else

std::shared_ptr<const MemoryFile> MemoryFile::make(std::string_view, std::string name) {
  fail(ErrorCode::kUnsupported, "[{}] files in memory need Linux; write it to a file", name);
}

#endif

MemoryFile::MemoryFile(int descriptor, std::string name)
    : descriptor_(descriptor), path_("/proc/self/fd/" + std::to_string(descriptor)), name_(std::move(name)) {}

MemoryFile::~MemoryFile() { ::close(descriptor_); }

}  // namespace vl3
