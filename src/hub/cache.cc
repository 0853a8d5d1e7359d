#include "hub/cache.h"

#include <unistd.h>

#include <cerrno>
#include <random>
#include <system_error>
#include <utility>

#include "base/ascii.h"
#include "base/check.h"
#include "base/file.h"
#include "hub/name.h"

namespace vl3::hub {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTreeBytes = 64 << 20, kMaxRefBytes = 1 << 10;
// The first line is the standard's; a program that makes backups knows it.
constexpr std::string_view kCacheTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# A cache of models from a hub, which can be fetched again: no need to back it up.\n";

void make_folders(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  require(!code || fs::is_directory(folder), ErrorCode::kIo, "[{}] cannot make the folder: {}",
          folder.string(), code.message());
}

std::string eight_digits() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

}  // namespace

RepositoryCache::RepositoryCache(const Settings& settings, std::string repository)
    : repository_(std::move(repository)), root_(settings.cache), folder_(root_ / folder_of(repository_)) {}

fs::path RepositoryCache::lock(const std::string& etag) const {
  return root_ / ".locks" / folder_of(repository_) / (etag + ".lock");
}

std::optional<std::string> RepositoryCache::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  try {
    const std::string text = read_file(folder_ / "refs" / revision, kMaxRefBytes);
    const std::string commit(trimmed(text, " \t\r\n"));
    return is_commit(commit) ? std::optional(commit) : std::nullopt;
  } catch (const Error&) {
    return {};
  }
}

std::optional<Listing> RepositoryCache::listing(const std::string& commit) const {
  try {
    return from_tree_file(read_file(folder_ / "trees" / (commit + ".json"), kMaxTreeBytes));
  } catch (const Error&) {
    return {};
  }
}

bool RepositoryCache::has(const std::string& commit, const std::string& path, const FileEntry& entry) const {
  std::error_code code;
  const fs::path file = snapshot(commit) / path;
  if (!fs::is_regular_file(file, code) || code) return false;
  const auto size = fs::file_size(file, code);
  return !code && size == static_cast<uintmax_t>(entry.size);
}

void RepositoryCache::prepare() const {
  for (const fs::path& folder : {folder_ / "blobs", folder_ / "snapshots", lock("x").parent_path()})
    make_folders(folder);
  std::error_code code;
  if (fs::exists(root_ / "CACHEDIR.TAG", code)) return;
  AtomicFile tag(root_ / "CACHEDIR.TAG");
  tag.write(kCacheTag);
  tag.commit();
}

void RepositoryCache::keep_listing(const std::string& commit, const Listing& listing) const {
  try {
    write(folder_ / "trees" / (commit + ".json"), to_tree_file(listing));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kIo) throw;
  }
}

void RepositoryCache::keep_absent(const std::string& commit, const std::vector<std::string>& paths) const {
  std::error_code code;
  const fs::path folder = folder_ / ".no_exist" / commit;
  for (const std::string& path : paths) {
    if (fs::exists(folder / path, code)) continue;
    try {
      write(folder / path, "");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kIo) throw;
      return;
    }
  }
}

void RepositoryCache::keep_revision(const std::string& revision, const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return;
  // Of a branch and what was a branch below it, or the other way round, the hub has one: what the cache has
  // of the other is out of date.
  const fs::path refs = folder_ / "refs", place = refs / revision;
  std::error_code code;
  for (fs::path above = place.parent_path(); above != refs; above = above.parent_path())
    if (fs::is_regular_file(above, code)) fs::remove(above, code);
  if (fs::is_directory(place, code)) fs::remove_all(place, code);
  write(place, commit);
}

// The temporary file lies among the blobs: beside a revision, what a kill leaves of it would be another one.
void RepositoryCache::write(const fs::path& path, std::string_view text) const {
  make_folders(path.parent_path());
  make_folders(folder_ / "blobs");
  AtomicFile file(path, folder_ / "blobs");
  file.write(text);
  file.commit();
}

void RepositoryCache::show(const std::string& commit, const std::string& path, const std::string& etag,
                           bool links) const {
  const fs::path place = snapshot(commit) / path;
  make_folders(place.parent_path());
  std::error_code code;
  for (fs::path folder = place.parent_path(); folder != folder_ / "snapshots"; folder = folder.parent_path())
    require(!fs::is_symlink(folder, code), ErrorCode::kIo,
            "[{}] is a link, and nothing is written through one: remove it", folder.string());
  if (links) {
    const fs::path target = blob(etag).lexically_relative(place.parent_path());
    const fs::path made = folder_ / "blobs" / fmt::format(".{}.{}.link", etag, eight_digits());
    if (::symlink(target.c_str(), made.c_str()) == 0) {
      if (::rename(made.c_str(), place.c_str()) == 0) return;
      const int error = errno;
      ::unlink(made.c_str());
      fail(ErrorCode::kIo, "[{}] cannot link it to its blob: {}", place.string(),
           std::generic_category().message(error));
    }
    const bool refused = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EACCES;
    require(refused, ErrorCode::kIo, "[{}] cannot link it to its blob: {}", place.string(),
            std::generic_category().message(errno));
  }
  require(::rename(blob(etag).c_str(), place.c_str()) == 0, ErrorCode::kIo,
          "[{}] cannot move its blob there: {}", place.string(), std::generic_category().message(errno));
}

}  // namespace vl3::hub
