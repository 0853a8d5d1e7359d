#include "serve/batch_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "base/check.h"
#include "base/sha256.h"

namespace vl3::serve {
namespace {

std::string why() { return std::system_category().message(errno); }

// A name of bounded length; "id" and "line" cannot be mistaken for each other.
std::string name_of(std::string_view kind, std::string_view text) {
  Sha256 hash;
  hash.add_text(kind);
  hash.add_text(text);
  return hash.hex().substr(0, 32);
}

}  // namespace

BatchFile::BatchFile(const std::filesystem::path& path) : path_(path.string()) {
  descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  require(descriptor_ >= 0, ErrorCode::kIo, "[{}] cannot be written: {}", path_, why());
  try {
    struct stat status {};
    require(fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode), ErrorCode::kInvalidArgument,
            "[{}] is no regular file: what it holds is read when a batch is continued", path_);
    require(flock(descriptor_, LOCK_EX | LOCK_NB) == 0, ErrorCode::kInvalidArgument,
            "[{}] is being written by another process", path_);
    read_found();
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

BatchFile::~BatchFile() {
  fdatasync(descriptor_);
  close(descriptor_);
}

// A piece at a time: the file may be larger than memory.
void BatchFile::read_found() {
  std::array<char, 65536> piece{};
  std::string line;
  int64_t offset = 0, number = 0;
  for (;;) {
    const ssize_t count = pread(descriptor_, piece.data(), piece.size(), offset);
    require(count >= 0, ErrorCode::kIo, "[{}] cannot be read: {}", path_, why());
    if (count == 0) break;
    offset += count;
    for (ssize_t i = 0; i < count; ++i) {
      const char c = piece[static_cast<size_t>(i)];
      if (c != '\n') {
        line += c;
        continue;
      }
      ++number;
      const Json row = Json::parse(line, nullptr, false);
      require(row.is_object() && row.contains("custom_id"), ErrorCode::kFormat,
              "[{}] line {} is no answer of a batch: is it another file?", path_, number);
      note(row, number);
      size_ += static_cast<int64_t>(line.size()) + 1;
      line.clear();
    }
  }
  if (offset == size_) return;
  require(ftruncate(descriptor_, size_) == 0, ErrorCode::kIo, "[{}] cannot be written: {}", path_, why());
}

void BatchFile::note(const Json& row, int64_t line) {
  ++found_;
  const Json& id = row["custom_id"];
  if (id.is_string()) {
    require(claimed_.insert(name_of("id", id.get<std::string>())).second, ErrorCode::kFormat,
            "[{}] line {} has the custom_id {} once more", path_, line, shown(id));
    return;
  }
  if (const auto error = row.find("error");
      error != row.end() && error->is_object() && error->contains("line"))
    claimed_.insert(name_of("line", (*error)["line"].dump()));
}

bool BatchFile::claim(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return claimed_.insert(name_of("id", id)).second;
}

bool BatchFile::claim_line(int64_t line) {
  const std::lock_guard lock(mutex_);
  return claimed_.insert(name_of("line", std::to_string(line))).second;
}

void BatchFile::append(const Json& row) {
  const std::string line = row.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const std::lock_guard lock(mutex_);
  for (size_t done = 0; done < line.size();) {
    const ssize_t count =
        pwrite(descriptor_, line.data() + done, line.size() - done, size_ + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const std::string reason = why();
      const bool taken_back = ftruncate(descriptor_, size_) == 0;
      fail(ErrorCode::kIo, "[{}] cannot be written: {}{}", path_, reason,
           taken_back ? "" : "; its last line is torn, which the next run mends");
    }
    done += static_cast<size_t>(count);
  }
  size_ += static_cast<int64_t>(line.size());
}

void BatchFile::flush() {
  require(fdatasync(descriptor_) == 0, ErrorCode::kIo, "[{}] cannot be written: {}", path_, why());
}

}  // namespace vl3::serve
