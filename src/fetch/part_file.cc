#include "fetch/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/file.h"

namespace vl3 {

using download::DownloadError;
using download::Failure;
using download::OpenFile;

namespace {

[[noreturn]] void fail_disk(const char* words) { throw DownloadError(Failure::kNoSpace, words); }

}  // namespace

PartFile PartFile::made(const std::filesystem::path& folder, std::string_view prefix) {
  std::string path = (folder / (std::string(prefix) + "XXXXXX")).string();
  PartFile file;
  file.writable_ = OpenFile(::mkostemp(path.data(), O_CLOEXEC));
  if (file.writable_.get() < 0) fail_disk("cannot be stored: no temporary file can be made");
  file.path_ = path;
  // Not by its name, which another process may have removed.
  const std::string same = "/proc/self/fd/" + std::to_string(file.writable_.get());
  file.readable_ = OpenFile(::open(same.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.readable_.get() < 0) fail_disk("cannot be stored: its temporary file cannot be opened");
  return file;
}

PartFile PartFile::unnamed(const std::filesystem::path& folder) {
  PartFile file = made(folder.empty() ? std::filesystem::temp_directory_path() : folder, "vl3-media-");
  ::unlink(file.path_.c_str());
  file.path_.clear();
  return file;
}

PartFile PartFile::named(const std::filesystem::path& folder) {
  // Before it was locked another process may have taken it for an abandoned one.
  constexpr int kTries = 100;
  for (int tries = 0; tries < kTries; ++tries) {
    PartFile file = made(folder, kPrefix);
    ::flock(file.writable_.get(), LOCK_EX);
    struct stat status {};
    if (::fstat(file.writable_.get(), &status) == 0 && status.st_nlink > 0) return file;
    file.path_.clear();
  }
  fail_disk("cannot be stored: other processes remove its file again and again");
}

PartFile::PartFile(PartFile&& other) noexcept
    : writable_(std::move(other.writable_)),
      readable_(std::move(other.readable_)),
      path_(std::exchange(other.path_, {})),
      size_(other.size_) {}

PartFile::~PartFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

void PartFile::add(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(writable_.get(), bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) fail_disk("cannot be stored: the disk for temporary files is full");
    bytes.remove_prefix(static_cast<size_t>(wrote));
    size_ += static_cast<uint64_t>(wrote);
  }
}

void PartFile::restart() {
  if (::ftruncate(writable_.get(), 0) != 0 || ::lseek(writable_.get(), 0, SEEK_SET) != 0)
    fail_disk("cannot be stored: its temporary file cannot be begun again");
  size_ = 0;
}

void PartFile::keep_as(const std::filesystem::path& path) {
  // mkostemp makes files for their owner alone; those of a cache are as the folder's others are.
  ::fchmod(writable_.get(), new_file_mode());
  if (::fsync(writable_.get()) != 0) fail_disk("cannot be stored: the disk of the cache is full");
  if (::rename(path_.c_str(), path.c_str()) != 0) fail_disk("cannot be stored: its file cannot be named");
  path_.clear();
}

}  // namespace vl3
