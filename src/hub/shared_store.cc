#include "hub/shared_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "hub/content_hash.h"
#include "hub/file_lock.h"
#include "hub/name.h"

namespace vl3::hub {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = ".huggingface-shared-blobs";
constexpr std::string_view kVersion = "1\n";
constexpr unsigned kLockMode = 0666;
constexpr uint64_t kMaxListBytes = 16 << 20;
constexpr size_t kHashDigits = 64;

bool is_plain_file(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_store(const fs::path& store) {
  struct stat status {};
  if (::lstat(store.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || !is_plain_file(store / kMarker))
    return false;
  try {
    return read_file(store / kMarker, 16) == kVersion;
  } catch (const Error&) {
    return false;
  }
}

fs::path with_ending(const fs::path& content, const char* ending) { return content.string() + ending; }

// Before the link can be seen, so that nobody takes the content for unused.
bool note_reference(const fs::path& list, const std::string& line) {
  const download::OpenFile file(
      ::open(list.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, kLockMode));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  return ::write(file.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
         ::fsync(file.get()) == 0;
}

// The blobs that the list names and that are links to this content; none where the list cannot be read.
std::optional<std::vector<std::string>> references(const fs::path& root, const fs::path& content) {
  const fs::path list = with_ending(content, ".refs");
  if (!is_plain_file(list)) return {};
  std::string text;
  try {
    text = read_file(list, kMaxListBytes);
  } catch (const Error&) {
    return {};
  }
  std::vector<std::string> found;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const fs::path named(line);
    const bool inside = named.is_relative() && std::find(named.begin(), named.end(), "..") == named.end();
    if (inside && shared_target(root, root / named) == content &&
        std::find(found.begin(), found.end(), line) == found.end())
      found.push_back(line);
  }
  return found;
}

}  // namespace

std::optional<fs::path> shared_target(const fs::path& root, const fs::path& blob) {
  std::error_code code;
  if (!fs::is_symlink(blob, code)) return {};
  const fs::path link = fs::read_symlink(blob, code);
  if (code) return {};
  const fs::path target = (link.is_absolute() ? link : blob.parent_path() / link).lexically_normal();
  const fs::path store = (root / "blobs").lexically_normal();
  const std::string name = target.filename().string();
  if (target.parent_path().parent_path() != store || !is_hash(name) ||
      target.parent_path().filename() != name.substr(0, 2))
    return {};
  return target;
}

bool link_shared_blob(const Settings& settings, const RepositoryCache& cache, const FileEntry& entry,
                      const std::function<bool()>& cancelled) {
  const fs::path store = cache.root() / "blobs";
  if (!settings.shared_blobs || !settings.links || entry.xet_hash.empty() || !is_store(store)) return false;
  const fs::path content = store / entry.xet_hash.substr(0, 2) / entry.xet_hash;
  std::error_code code;
  if (!is_plain_file(content) || fs::file_size(content, code) != static_cast<uintmax_t>(entry.size))
    return false;
  const fs::path blob = cache.blob(entry.etag());
  const fs::path made = cache.folder() / "blobs" / ("." + entry.etag() + ".vl3.shared");
  try {
    const FileLock lock(with_ending(content, ".lock"), kLockMode, cancelled);
    if (!is_plain_file(content) || !has_hash(content, entry.etag(), cancelled)) return false;
    const std::string line = blob.lexically_relative(cache.root()).string() + "\n";
    ::unlink(made.c_str());
    const fs::path target = content.lexically_relative(blob.parent_path());
    if (::symlink(target.c_str(), made.c_str()) != 0) return false;
    const bool linked =
        note_reference(with_ending(content, ".refs"), line) && ::rename(made.c_str(), blob.c_str()) == 0;
    if (!linked) ::unlink(made.c_str());
    return linked;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) throw;
    return false;
  }
}

int64_t sweep_shared_blob(const fs::path& root, const fs::path& content) {
  if (!is_store(root / "blobs")) return 0;
  try {
    const FileLock lock(with_ending(content, ".lock"), kLockMode, {});
    const auto users = references(root, content);
    if (!users.has_value()) return 0;
    const fs::path list = with_ending(content, ".refs");
    if (!users->empty()) {
      AtomicFile shorter(list);
      for (const std::string& line : *users) shorter.write(line + "\n");
      shorter.commit();
      std::error_code code;
      fs::permissions(list, fs::perms(0666), code);  // so that others of a common cache may add theirs
      return 0;
    }
    if (!is_plain_file(content)) return 0;
    std::error_code code;
    const auto bytes = static_cast<int64_t>(fs::file_size(content, code));
    if (code || ::unlink(content.c_str()) != 0) return 0;
    ::unlink(list.c_str());
    return bytes;
  } catch (const Error&) {
    return 0;
  }
}

}  // namespace vl3::hub
