// What is in the cache: told, checked, removed.

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "hub/cache.h"
#include "hub/content_hash.h"
#include "hub/file_lock.h"
#include "hub/name.h"
#include "hub/selection.h"
#include "hub/settings.h"
#include "hub/shared_store.h"
#include "vl3/hub.h"

namespace vl3 {
namespace hub {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kLockMode = 0664;

// Of a folder that was listed: one that is not there has nothing in it.
void check_listed(const fs::path& folder, const std::error_code& code) {
  require(!code || code == std::errc::no_such_file_or_directory, ErrorCode::kIo, "[{}] cannot be read: {}",
          folder.string(), code.message());
}

// The names of a folder's entries, sorted.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    names.push_back(entry->path().filename().string());
  check_listed(folder, code);
  std::sort(names.begin(), names.end());
  return names;
}

// Everything below a folder that is no folder, as paths relative to it.
std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code code, of_entry;
  for (fs::recursive_directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code))
    if (!entry->is_directory(of_entry) || entry->is_symlink(of_entry))
      files.push_back(entry->path().lexically_relative(folder).string());
  check_listed(folder, code);
  std::sort(files.begin(), files.end());
  return files;
}

std::map<std::string, std::vector<std::string>> revisions_of(const RepositoryCache& cache) {
  std::map<std::string, std::vector<std::string>> by_commit;
  for (const std::string& revision : files_below(cache.folder() / "refs")) {
    const auto commit = cache.commit_of(revision);
    if (commit.has_value()) by_commit[*commit].push_back(revision);
  }
  return by_commit;
}

std::vector<std::string> commits_of(const RepositoryCache& cache) {
  std::vector<std::string> commits = names_in(cache.folder() / "snapshots");
  std::erase_if(commits, [](const std::string& name) { return !is_commit(name); });
  return commits;
}

// The blob of this repository that a file of a snapshot is a link to; none where it is a file of its own.
std::optional<std::string> blob_of(const RepositoryCache& cache, const fs::path& file) {
  std::error_code code;
  if (!fs::is_symlink(file, code)) return {};
  const fs::path link = fs::read_symlink(file, code);
  if (code) return {};
  const fs::path target = (link.is_absolute() ? link : file.parent_path() / link).lexically_normal();
  if (target.parent_path() != (cache.folder() / "blobs").lexically_normal()) return {};
  return target.filename().string();
}

CachedModel snapshot_of(const RepositoryCache& cache, const std::string& commit) {
  CachedModel model;
  model.repository = cache.repository();
  model.commit = commit;
  model.folder = cache.snapshot(commit);
  for (const std::string& path : files_below(model.folder)) {
    std::error_code code;
    const auto size = fs::file_size(model.folder / path, code);
    if (code) continue;
    ++model.files;
    model.bytes += static_cast<int64_t>(size);
  }
  const auto listing = cache.listing(commit);
  model.listing_known = listing.has_value();
  if (listing.has_value())
    model.missing = std::count_if(listing->begin(), listing->end(), [&](const auto& file) {
      return is_needed(file.first) && !cache.has(commit, file.first, file.second);
    });
  return model;
}

// The commits of the cache that a name means.
std::vector<std::string> meant(const RepositoryCache& cache, const HubName& name) {
  std::vector<std::string> commits = commits_of(cache);
  if (!name.revision.empty()) {
    const auto commit = cache.commit_of(name.revision);
    std::erase_if(commits, [&](const std::string& one) { return one != commit; });
  }
  if (commits.empty())
    throw HubError(
        HubFailure::kNotCached,
        fmt::format("[{}] {} is not in the cache {}: `videollama3 cache ls` tells what is", name.repository,
                    name.revision.empty() ? "it" : fmt::format("revision \"{}\" of it", name.revision),
                    cache.root().string()));
  return commits;
}

// --- checking

struct Verifying {
  CacheCheck& check;
  const std::function<bool()>& cancelled;
  std::map<std::string, bool> known{};  // contents that were read: whether they are right
};

void verify_file(const RepositoryCache& cache, const std::string& commit, const std::string& path,
                 const std::optional<Listing>& listing, Verifying& state) {
  const fs::path file = cache.snapshot(commit) / path;
  const auto fault = [&](const std::string& what) {
    state.check.faults.push_back({cache.repository(), commit, path, what});
  };
  std::error_code code;
  if (!fs::is_regular_file(file, code)) return fault("leads to no file");
  // The list knows what it should be; without one, the name of the blob tells.
  std::string etag = blob_of(cache, file).value_or("");
  if (listing.has_value()) {
    const auto entry = listing->find(path);
    if (entry == listing->end()) return fault("is not in the list of the commit's files");
    if (!etag.empty() && etag != entry->second.etag()) return fault("leads to a blob that is not its own");
    etag = entry->second.etag();
  }
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if ((etag.size() != 40 && etag.size() != 64) || !std::all_of(etag.begin(), etag.end(), hex))
    return fault("has no hash to compare with");
  const std::string content = fs::canonical(file, code).string();
  auto [seen, is_new] = state.known.try_emplace(fmt::format("{} {}", etag, content), false);
  if (is_new) {
    seen->second = has_hash(file, etag, state.cancelled);
    state.check.bytes += static_cast<int64_t>(fs::file_size(file, code));
  }
  ++state.check.files;
  if (!seen->second) fault(fmt::format("is not what its hash {} says", etag));
}

void verify_snapshot(const RepositoryCache& cache, const std::string& commit, Verifying& state) {
  const auto listing = cache.listing(commit);
  for (const std::string& path : files_below(cache.snapshot(commit)))
    verify_file(cache, commit, path, listing, state);
  if (!listing.has_value()) return;
  std::error_code code;
  for (const auto& [path, entry] : *listing)
    if (is_needed(path) && !fs::exists(fs::symlink_status(cache.snapshot(commit) / path, code)))
      state.check.missing.push_back({cache.repository(), commit, path, "is missing"});
}

// --- removing

// Whether a commit is there by other names than this one, which is not the commit itself: these need all it
// has.
bool has_other_names(const RepositoryCache& cache, const std::string& revision, const std::string& commit) {
  const auto revisions = revisions_of(cache);
  const auto found = revisions.find(commit);
  if (revision == commit || found == revisions.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(),
                     [&](const std::string& other) { return other != revision; });
}

// A blob that no snapshot is left to use, and what was begun of it.
int64_t remove_blob(const RepositoryCache& cache, const std::string& etag) {
  std::error_code code;
  fs::create_directories(cache.lock(etag).parent_path(), code);
  const FileLock lock(cache.lock(etag), kLockMode, {});  // not while somebody downloads it
  const fs::path blob = cache.blob(etag);
  const auto shared = shared_target(cache.root(), blob);
  const auto size = shared.has_value() ? 0 : fs::file_size(blob, code);
  const int64_t bytes = code ? 0 : static_cast<int64_t>(size);
  if (!fs::remove(blob, code)) return 0;
  return shared.has_value() ? sweep_shared_blob(cache.root(), *shared) : bytes;
}

// With the folders that it leaves empty: a branch of such a name may come.
void remove_revision(const RepositoryCache& cache, const std::string& revision) {
  const fs::path refs = cache.folder() / "refs";
  std::error_code code;
  fs::remove(refs / revision, code);
  require(!code, ErrorCode::kIo, "[{}] cannot be removed: {}", (refs / revision).string(), code.message());
  for (fs::path above = (refs / revision).parent_path(); above != refs; above = above.parent_path())
    if (!fs::remove(above, code)) return;
}

int64_t remove_folder(const fs::path& folder) {
  int64_t bytes = 0;
  std::error_code code;
  for (const std::string& path : files_below(folder)) {
    const fs::path file = folder / path;
    if (fs::is_symlink(file, code)) continue;
    const auto size = fs::file_size(file, code);
    if (!code) bytes += static_cast<int64_t>(size);
  }
  fs::remove_all(folder, code);
  require(!code, ErrorCode::kIo, "[{}] cannot be removed: {}", folder.string(), code.message());
  return bytes;
}

std::set<std::string> blobs_used(const RepositoryCache& cache, const std::vector<std::string>& commits) {
  std::set<std::string> used;
  for (const std::string& commit : commits)
    for (const std::string& path : files_below(cache.snapshot(commit))) {
      const auto blob = blob_of(cache, cache.snapshot(commit) / path);
      if (blob.has_value()) used.insert(*blob);
    }
  return used;
}

int64_t remove_commits(const RepositoryCache& cache, const std::vector<std::string>& commits) {
  std::vector<std::string> kept = commits_of(cache);
  std::erase_if(kept, [&](const std::string& commit) {
    return std::find(commits.begin(), commits.end(), commit) != commits.end();
  });
  const std::set<std::string> used = blobs_used(cache, kept);
  const std::set<std::string> candidates = blobs_used(cache, commits);
  const auto revisions = revisions_of(cache);
  int64_t bytes = 0;
  std::error_code code;
  for (const std::string& commit : commits) {
    // A revision that leads nowhere is a damaged cache to others: it goes first.
    if (const auto found = revisions.find(commit); found != revisions.end())
      for (const std::string& revision : found->second) remove_revision(cache, revision);
    bytes += remove_folder(cache.snapshot(commit));
    fs::remove_all(cache.folder() / ".no_exist" / commit, code);
    fs::remove(cache.folder() / "trees" / (commit + ".json"), code);
  }
  for (const std::string& etag : candidates)
    if (used.count(etag) == 0) bytes += remove_blob(cache, etag);
  if (!kept.empty()) return bytes;
  // Blobs that no snapshot led to, and what was begun and never came to its end.
  for (const std::string& name : names_in(cache.folder() / "blobs"))
    if (shared_target(cache.root(), cache.blob(name)).has_value()) bytes += remove_blob(cache, name);
  return bytes + remove_folder(cache.folder());
}

}  // namespace
}  // namespace hub

std::vector<CachedModel> cached_models(const HubOptions& options) {
  const hub::Settings settings = hub::settings_of(options);
  std::vector<CachedModel> models;
  for (const std::string& folder : hub::names_in(settings.cache)) {
    const std::string repository = hub::repository_of(folder);
    if (repository.empty()) continue;
    const hub::RepositoryCache cache(settings, repository);
    const auto revisions = hub::revisions_of(cache);
    for (const std::string& commit : hub::commits_of(cache)) {
      models.push_back(hub::snapshot_of(cache, commit));
      if (const auto found = revisions.find(commit); found != revisions.end())
        models.back().revisions = found->second;
    }
  }
  return models;
}

CacheCheck verify_cached(const std::optional<HubName>& name, const HubOptions& options) {
  const hub::Settings settings = hub::settings_of(options);
  CacheCheck check;
  hub::Verifying state{check, options.cancelled};
  if (name.has_value()) {
    const hub::RepositoryCache cache(settings, name->repository);
    for (const std::string& commit : hub::meant(cache, *name)) hub::verify_snapshot(cache, commit, state);
    return check;
  }
  for (const std::string& folder : hub::names_in(settings.cache)) {
    const std::string repository = hub::repository_of(folder);
    if (repository.empty()) continue;
    const hub::RepositoryCache cache(settings, repository);
    for (const std::string& commit : hub::commits_of(cache)) hub::verify_snapshot(cache, commit, state);
  }
  return check;
}

int64_t remove_cached(const HubName& name, const HubOptions& options) {
  const hub::Settings settings = hub::settings_of(options);
  const hub::RepositoryCache cache(settings, name.repository);
  std::vector<std::string> commits;
  try {
    commits = hub::meant(cache, name);
  } catch (const HubError&) {
    // A download that never came to a snapshot can be removed, too.
    std::error_code code;
    if (!name.revision.empty() || !std::filesystem::is_directory(cache.folder(), code)) throw;
  }
  if (!name.revision.empty() && hub::has_other_names(cache, name.revision, commits[0])) {
    hub::remove_revision(cache, name.revision);
    return 0;
  }
  return hub::remove_commits(cache, commits);
}

}  // namespace vl3
