#pragma once
// What files a commit of a repository has, with their hashes: as the hub tells it, and as the cache keeps it.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace vl3::hub {

struct FileEntry {
  int64_t size = 0;
  std::string git_id;    // of git's own object: of the file, or of the pointer that stands for it
  std::string sha256;    // of the content, where it is stored beside git (LFS); else ""
  std::string xet_hash;  // the name of its content in the shared blobs; ""
  // The name of its blob in the cache.
  const std::string& etag() const noexcept { return sha256.empty() ? git_id : sha256; }
};
using Listing = std::map<std::string, FileEntry>;  // by path

// The commit of an answer to /api/models/NAME/revision/REVISION. Throws HubError kBadAnswer, which names
// origin.
std::string commit_of(std::string_view json, const std::string& origin);

// Adds one page of /api/models/NAME/tree/COMMIT. Throws HubError kBadAnswer: also for a path that leads out
// of its folder, an absolute one, one with an empty part, and hashes that are none.
void add_page(Listing& listing, std::string_view json, const std::string& origin);

// Throws HubError kBadAnswer for a list that has a path as a file and as a folder.
void check_folders(const Listing& listing, const std::string& origin);

// The file trees/COMMIT.json of the cache, of format_version 1.
std::string to_tree_file(const Listing& listing);
// None where the text is no such file, or one of another version.
std::optional<Listing> from_tree_file(std::string_view text);

// Whether a path stays within the folder it is below, whatever system made it.
bool stays_inside(std::string_view path) noexcept;

}  // namespace vl3::hub
