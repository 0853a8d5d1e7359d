#pragma once
// One repository's folder in the cache, laid out as huggingface_hub lays it out:
//   models--org--name/blobs/<etag>                 contents, or links to the blobs that all repositories
//   share
//                    /snapshots/<commit>/<path>    relative links to ../../blobs/<etag>
//                    /refs/<revision>              the commit, 40 digits
//                    /trees/<commit>.json          what files the commit has
//                    /.no_exist/<commit>/<path>    that it has no such file
//   .locks/models--org--name/<etag>.lock
// Nothing is ever written through a link: new files get their name by being renamed.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/listing.h"
#include "hub/settings.h"

namespace vl3::hub {

class RepositoryCache {
 public:
  RepositoryCache(const Settings& settings, std::string repository);

  const std::string& repository() const noexcept { return repository_; }
  const std::filesystem::path& root() const noexcept { return root_; }      // the whole cache
  const std::filesystem::path& folder() const noexcept { return folder_; }  // the repository's
  std::filesystem::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path snapshot(const std::string& commit) const { return folder_ / "snapshots" / commit; }
  std::filesystem::path lock(const std::string& etag) const;

  // The commit that a revision was when it was last asked for; a commit is itself.
  std::optional<std::string> commit_of(const std::string& revision) const;
  std::optional<Listing> listing(const std::string& commit) const;
  // Whether the snapshot has the file, with its size.
  bool has(const std::string& commit, const std::string& path, const FileEntry& entry) const;

  // Makes the folders, and marks the cache as one (CACHEDIR.TAG). Throws kIo.
  void prepare() const;
  // Not by several threads at a time. A cache that cannot be written is none that lacks anything: the listing
  // and the absent files are left out then.
  void keep_listing(const std::string& commit, const Listing& listing) const;
  void keep_absent(const std::string& commit, const std::vector<std::string>& paths) const;
  // Throws kIo, unless the file says so already.
  void keep_revision(const std::string& revision, const std::string& commit) const;
  // Puts the blob into the snapshot: as a link, or, where there are none (links: false, or the file system
  // refuses), by moving it there.
  void show(const std::string& commit, const std::string& path, const std::string& etag, bool links) const;

 private:
  // A file of the repository's folder, whole or not at all. Throws kIo.
  void write(const std::filesystem::path& path, std::string_view text) const;
  std::string repository_;
  std::filesystem::path root_, folder_;
};

}  // namespace vl3::hub
