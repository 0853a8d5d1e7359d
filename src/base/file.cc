#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <vector>

#include "base/check.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_errno(const fs::path& path, const char* doing) {
  const int error = errno;
  const ErrorCode code = error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
  fail(code, "[{}] cannot {}: {}", path.string(), doing, std::generic_category().message(error));
}

// An open regular file, closed on every way out.
struct Descriptor {
  explicit Descriptor(const fs::path& path)
      : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {  // a pipe would wait
    if (fd < 0) fail_errno(path, "open");
    if (::fstat(fd, &status) != 0) {
      ::close(fd);
      fail_errno(path, "stat");
    }
    if (!S_ISREG(status.st_mode)) {
      ::close(fd);
      fail(ErrorCode::kIo, "[{}] is not a regular file", path.string());
    }
  }
  ~Descriptor() { ::close(fd); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  uint64_t size() const { return static_cast<uint64_t>(status.st_size); }
  // How many bytes came; 0 at the end.
  size_t read(const fs::path& path, void* target, size_t most) const {
    for (;;) {
      const ssize_t got = ::read(fd, target, most);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) fail_errno(path, "read");
    }
  }

  int fd;
  struct stat status {};
};

}  // namespace

std::string read_file(const fs::path& path, uint64_t max_bytes) {
  Descriptor file(path);
  require(file.size() <= max_bytes, ErrorCode::kLimitExceeded, "[{}] has {} bytes, more than the limit of {}",
          path.string(), file.size(), max_bytes);
  std::string bytes(file.size(), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const size_t got = file.read(path, bytes.data() + done, bytes.size() - done);
    if (got == 0) break;  // shrank while being read
    done += got;
  }
  bytes.resize(done);
  require(!bytes.starts_with("version https://git-lfs"), ErrorCode::kUnsupported,
          "[{}] is a Git LFS pointer: fetch the file itself (git lfs pull)", path.string());
  return bytes;
}

void read_in_pieces(const fs::path& path, const std::function<void(std::span<const std::byte>)>& piece) {
  Descriptor file(path);
  std::vector<std::byte> bytes(1 << 20);
  while (const size_t got = file.read(path, bytes.data(), bytes.size())) piece(std::span(bytes).first(got));
}

fs::path resolve_link_stub(const fs::path& path) {
  constexpr uint64_t kMaxStubBytes = 1024;
  fs::path current = path;
  for (int hop = 0; hop < 8; ++hop) {
    std::error_code error;
    const uint64_t size = fs::file_size(current, error);
    if (error || size == 0 || size > kMaxStubBytes) return current;
    std::string text = read_file(current, kMaxStubBytes);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    const bool plain = std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; });
    const fs::path target(text);
    if (!plain || target.is_absolute() || target.filename() != path.filename()) return current;
    const fs::path next = current.parent_path() / target;
    if (!fs::is_regular_file(next, error) || fs::equivalent(next, current, error)) return current;
    current = next;
  }
  return current;
}

std::shared_ptr<MappedFile> MappedFile::open(const fs::path& path) {
  Descriptor file(path);
  const std::byte* data = nullptr;
  if (file.size() > 0) {
    void* mapped = ::mmap(nullptr, file.size(), PROT_READ, MAP_SHARED, file.fd, 0);
    if (mapped == MAP_FAILED) fail_errno(path, "map");
    data = static_cast<const std::byte*>(mapped);
  }
  return std::shared_ptr<MappedFile>(new MappedFile(path, data, file.size()));
}

MappedFile::MappedFile(fs::path path, const std::byte* data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

unsigned new_file_mode() {
  unsigned mask = 0077;
  if (std::FILE* file = std::fopen("/proc/self/status", "re")) {
    char line[256];
    while (std::fgets(line, sizeof line, file) != nullptr && std::sscanf(line, "Umask: %o", &mask) != 1)
      continue;
    std::fclose(file);
  }
  return 0666 & ~mask;
}

AtomicFile::AtomicFile(fs::path path, const fs::path& folder) : path_(std::move(path)) {
  std::string name = (folder.empty() ? path_ : folder / ".vl3").string() + ".XXXXXX";
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) fail_errno(path_, "create a temporary file for it");
  temporary_ = name;
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_errno(path_, "write");
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void AtomicFile::commit() {
  ::fchmod(descriptor_, new_file_mode());
  if (::fsync(descriptor_) != 0) fail_errno(path_, "write to disk");
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail_errno(path_, "close");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_errno(path_, "rename into place");
  temporary_.clear();
}

}  // namespace vl3
