#include "hub/pull.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/size_words.h"
#include "hub/blob.h"
#include "hub/cache.h"
#include "hub/client.h"
#include "hub/name.h"
#include "hub/selection.h"
#include "hub/settings.h"
#include "vl3/hub.h"

namespace vl3 {
namespace hub {
namespace {

namespace fs = std::filesystem;

using Files = std::vector<std::pair<std::string, FileEntry>>;

constexpr int kMostThreads = 16;

// What of a listing is wanted. A model without weights that can be read is told apart before gigabytes come.
Files chosen(const Listing& listing, const Selection& selection, const Wanted& wanted) {
  Files files;
  for (const auto& [path, entry] : listing)
    if (selection.takes(path)) files.emplace_back(path, entry);
  const auto say = [&](const std::string& words) {
    throw HubError(HubFailure::kFile, fmt::format("[{}] {}", wanted.repository, words));
  };
  if (files.empty())
    say(fmt::format("none of its {} files at revision \"{}\" is asked for", listing.size(), wanted.revision));
  if (selection.asked_for()) return files;
  if (listing.count("config.json") == 0 && listing.count("adapter_config.json") == 0)
    say("has neither config.json nor adapter_config.json: it is no model that this program reads");
  const bool weights = std::any_of(listing.begin(), listing.end(),
                                   [](const auto& file) { return file.first.ends_with(".safetensors"); });
  if (!weights)
    say("has no weights as safetensors, which alone are read: pickled ones (.bin, .pt) can run code of "
        "strangers");
  return files;
}

Files missing_of(const RepositoryCache& cache, const std::string& commit, const Files& files) {
  Files missing;
  for (const auto& file : files)
    if (!cache.has(commit, file.first, file.second)) missing.push_back(file);
  return missing;
}

// The snapshot as the cache has it, if it is complete. why: what to say where it is not.
std::optional<fs::path> cached_snapshot(const RepositoryCache& cache, const std::string& revision,
                                        const Selection& selection, std::string& why) {
  std::error_code code;
  const std::optional<std::string> commit = cache.commit_of(revision);
  if (!commit.has_value() || !fs::is_directory(cache.snapshot(*commit), code)) {
    why = fmt::format("revision \"{}\" of it is not in the cache {}", printable(revision),
                      cache.root().string());
    return {};
  }
  const std::optional<Listing> listing = cache.listing(*commit);
  if (!listing.has_value()) {  // an older program kept no list: what is there has to do
    const bool model = fs::exists(cache.snapshot(*commit) / "config.json", code) ||
                       fs::exists(cache.snapshot(*commit) / "adapter_config.json", code);
    if (model || selection.asked_for()) return cache.snapshot(*commit);
    why = fmt::format("its snapshot {} has no config.json", cache.snapshot(*commit).string());
    return {};
  }
  const Files files = chosen(*listing, selection, {cache.repository(), revision, ""});
  const Files missing = missing_of(cache, *commit, files);
  if (missing.empty()) return cache.snapshot(*commit);
  why =
      fmt::format("its snapshot {} lacks {} of {} files, \"{}\" among them", cache.snapshot(*commit).string(),
                  missing.size(), files.size(), printable(missing.front().first));
  return {};
}

// How many bytes a file has; 0 where there is none.
int64_t size_at(const fs::path& file) {
  std::error_code code;
  const auto size = fs::file_size(file, code);
  return code ? 0 : static_cast<int64_t>(size);
}

// Of the files that a snapshot lacks, those whose bytes no other snapshot has.
Files without_blob(const RepositoryCache& cache, Files missing) {
  std::erase_if(missing, [&](const auto& file) {
    return size_at(cache.blob(file.second.etag())) == file.second.size && file.second.size > 0;
  });
  return missing;
}

// Throws kNoSpace before anything is fetched that would not fit.
void check_space(const RepositoryCache& cache, const Files& coming) {
  int64_t needed = 0;
  std::error_code code;
  for (const auto& [path, entry] : coming)
    needed += entry.size - std::min(entry.size, size_at(PartialBlob::file_of(cache, entry.etag())));
  const fs::space_info space = fs::space(cache.folder(), code);
  if (!code && space.available < static_cast<uintmax_t>(needed))
    throw HubError(
        HubFailure::kNoSpace,
        fmt::format("[{}] {} needs {} more bytes, and the disk has {}: make room, or set HF_HUB_CACHE",
                    cache.root().string(), cache.repository(), needed, space.available));
}

// --- several files at a time

class Downloads {
 public:
  Downloads(const Settings& settings, const HubOptions& options, const RepositoryCache& cache,
            const std::string& commit, const Files& files);
  void run();  // throws what the first file that failed did

 private:
  void work();
  void fetch(Client& client, size_t index);
  void tell(size_t index, int64_t bytes);

  const Settings& settings_;
  const HubOptions& options_;
  const RepositoryCache& cache_;
  const std::string& commit_;
  const Files& files_;
  std::function<bool()> stopped_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;  // of what follows
  std::vector<int64_t> bytes_;
  HubProgress progress_;
  std::exception_ptr failure_;
};

Downloads::Downloads(const Settings& settings, const HubOptions& options, const RepositoryCache& cache,
                     const std::string& commit, const Files& files)
    : settings_(settings),
      options_(options),
      cache_(cache),
      commit_(commit),
      files_(files),
      bytes_(files.size()) {
  stopped_ = [this] { return failed_.load() || (options_.cancelled && options_.cancelled()); };
  progress_.total_files = static_cast<int>(files.size());
  for (const auto& [path, entry] : files) progress_.total += entry.size;
}

void Downloads::tell(size_t index, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  progress_.bytes += bytes - bytes_[index];
  bytes_[index] = bytes;
  progress_.file = files_[index].first;
  progress_.file_bytes = bytes;
  progress_.file_total = files_[index].second.size;
  if (options_.progress) options_.progress(progress_);
}

void Downloads::fetch(Client& client, size_t index) {
  const auto& [path, entry] = files_[index];
  const Wanted wanted{cache_.repository(), commit_, path};
  const BlobNotes notes{[this, index](int64_t bytes) { tell(index, bytes); },
                        [this](const std::string& note) {
                          const std::lock_guard lock(mutex_);
                          if (options_.notes) options_.notes(note);
                        }};
  fetch_blob(client, cache_, wanted, entry, stopped_, notes);
  cache_.show(commit_, path, entry.etag(), settings_.links);
  {
    const std::lock_guard lock(mutex_);
    ++progress_.files;
  }
  tell(index, entry.size);
}

void Downloads::work() {
  try {
    Client client(settings_, stopped_);
    for (size_t index = next_++; index < files_.size() && !failed_; index = next_++) fetch(client, index);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) failure_ = std::current_exception();  // those of others follow from it
  }
}

void Downloads::run() {
  const int wanted = std::clamp(options_.parallel_files, 1, kMostThreads);
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(files_.size(), static_cast<size_t>(wanted)); ++i)
    threads.emplace_back([this] { work(); });
  work();
  for (std::thread& thread : threads) thread.join();
  if (failure_) std::rethrow_exception(failure_);
}

// --- one snapshot

fs::path fetch_snapshot(const Settings& settings, const HubOptions& options, const RepositoryCache& cache,
                        const Wanted& wanted, const std::string& commit, const Selection& selection,
                        Client& client) {
  std::optional<Listing> listing = cache.listing(commit);
  const bool known = listing.has_value();
  if (!known) listing = client.listing({cache.repository(), commit, ""});
  const Files files = chosen(*listing, selection, wanted);
  const Files missing = missing_of(cache, commit, files);
  if (missing.empty()) {
    try {
      if (!known) cache.keep_listing(commit, *listing);
      cache.keep_revision(wanted.revision, commit);
    } catch (const Error& error) {  // a cache that cannot be written, but has it all
      if (error.code() != ErrorCode::kIo) throw;
    }
    return cache.snapshot(commit);
  }
  cache.prepare();
  if (!known) cache.keep_listing(commit, *listing);
  const Files coming = without_blob(cache, missing);
  check_space(cache, coming);
  int64_t bytes = 0;
  for (const auto& [path, entry] : coming) bytes += entry.size;
  if (options.notes && !coming.empty())
    options.notes(fmt::format("{}: {} file{} of {} from {}", cache.repository(), coming.size(),
                              coming.size() == 1 ? "" : "s", size_words(static_cast<double>(bytes)),
                              settings.endpoint));
  Downloads(settings, options, cache, commit, missing).run();
  if (const Files gone = missing_of(cache, commit, files); !gone.empty())
    fail(ErrorCode::kIo, "[{}] \"{}\" was removed while the rest was downloaded: pull the model again",
         cache.snapshot(commit).string(), printable(gone.front().first));
  // After the snapshot: a revision that leads to none is a damaged cache to others.
  cache.keep_revision(wanted.revision, commit);
  std::vector<std::string> absent;
  for (const std::string& path : optional_files())
    if (listing->count(path) == 0) absent.push_back(path);
  cache.keep_absent(commit, absent);
  return cache.snapshot(commit);
}

// Whether a snapshot of the cache may stand for what the hub did not give.
bool may_stand_in(const HubError& error) {
  const HubFailure failure = error.failure();
  return failure == HubFailure::kUnreachable || failure == HubFailure::kBadAnswer ||
         failure == HubFailure::kRepository || failure == HubFailure::kGated ||
         failure == HubFailure::kToken || failure == HubFailure::kDisabled;
}

}  // namespace

fs::path pull(const Settings& settings, const HubName& name, const HubOptions& options) {
  const Selection selection(options.include, options.exclude);
  const RepositoryCache cache(settings, name.repository);
  const std::string given = name.revision.empty() ? options.revision : name.revision;
  const Wanted wanted{name.repository, given.empty() ? "main" : given, ""};
  std::string why;
  const std::optional<fs::path> cached = cached_snapshot(cache, wanted.revision, selection, why);
  if (settings.offline) {
    if (cached.has_value()) return *cached;
    throw HubError(HubFailure::kNotCached,
                   fmt::format("[{}] {}, and the hub is not asked: {} says so", name.repository, why,
                               options.local_files_only ? "local_files_only" : "HF_HUB_OFFLINE"));
  }
  if (cached.has_value() && is_commit(wanted.revision)) return *cached;  // it cannot have changed
  Client client(settings, options.cancelled);
  std::string commit = wanted.revision;
  try {
    if (!is_commit(commit)) commit = client.commit(wanted, cached.has_value() ? 1 : settings.tries);
  } catch (const HubError& error) {
    if (!cached.has_value() || !may_stand_in(error)) throw;
    if (options.notes) options.notes(fmt::format("{}; what is in the cache is used", error.what()));
    return *cached;
  }
  return fetch_snapshot(settings, options, cache, wanted, commit, selection, client);
}

}  // namespace hub

std::filesystem::path pull_model(const HubName& name, const HubOptions& options) {
  // Whoever made it: what is asked for becomes a path and an address.
  const HubName checked = parse_hub_name(
      name.revision.empty() && options.revision.empty()
          ? name.repository
          : fmt::format("{}@{}", name.repository, name.revision.empty() ? options.revision : name.revision));
  return hub::pull(hub::settings_of(options), checked, options);
}

std::filesystem::path resolve_model(const std::string& name_or_folder, const HubOptions& options) {
  std::error_code ignored;
  if (std::filesystem::exists(name_or_folder, ignored)) return name_or_folder;
  const std::string shown = hub::printable(name_or_folder);
  const bool address = name_or_folder.find("://") != std::string::npos;  // parse_hub_name says it
  require(address || !hub::looks_like_path(name_or_folder), ErrorCode::kNotFound,
          "[{}] no such folder. If it is the name of a model on the hub (org/name), write hf://org/name",
          shown);
  HubName name;
  try {
    name = parse_hub_name(name_or_folder);
  } catch (const Error& error) {
    fail(ErrorCode::kNotFound, "[{}] no such folder, and no name of a model: {}", shown, error.what());
  }
  try {
    return pull_model(name, options);
  } catch (const HubError& error) {
    if (error.failure() != HubFailure::kRepository && error.failure() != HubFailure::kNotCached &&
        error.failure() != HubFailure::kUnreachable)
      throw;
    throw HubError(error.failure(), fmt::format("[{}] no such folder here, and as the name of a model: {}",
                                                shown, error.what()));
  }
}

}  // namespace vl3
