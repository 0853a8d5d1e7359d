#pragma once
// One file's bytes, from the hub into the cache.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "download/download.h"
#include "hub/cache.h"
#include "hub/client.h"
#include "hub/content_hash.h"

namespace vl3::hub {

// Bytes that came already, in a file that keeps them across kills: blobs/<etag>.vl3.incomplete, and beside it
// what the server called this version of them (its ETag).
class PartialBlob {
 public:
  // Opens it, or makes it, never through a link; hashes what is there. Throws HubError kNoSpace, kIo, and
  // kCancelled.
  PartialBlob(const RepositoryCache& cache, const std::string& etag, int64_t size,
              const std::function<bool()>& cancelled);

  int64_t bytes() const noexcept { return bytes_; }
  bool resumed() const noexcept { return resumed_; }  // whether some came with an earlier download
  const std::string& validator() const noexcept { return validator_; }
  void keep_validator(const std::string& validator);
  // Behind what is there. Throws HubError kNoSpace, kWrongBytes beyond the size.
  void add(std::string_view piece);
  void start_again();
  // Whether all is there and its hash is the etag. Ends the hash: start_again() or publish() is next.
  bool verify();
  // Gives it the blob's name, once it is on the disk; what was there is replaced.
  void publish();
  void remove();

  static std::filesystem::path file_of(const RepositoryCache& cache, const std::string& etag);

 private:
  [[noreturn]] void fail_to(const char* verb, int error) const;
  const RepositoryCache& cache_;
  std::string etag_;
  int64_t size_;
  std::filesystem::path path_, validator_path_;
  download::OpenFile file_;
  std::optional<ContentHash> hash_;
  int64_t bytes_ = 0;
  bool resumed_ = false;
  std::string validator_;
};

struct BlobNotes {
  std::function<void(int64_t bytes)> progress;         // how much of the file is there
  std::function<void(const std::string& note)> notes;  // what a person should know
};

// Sees to it that the cache has the blob of this file: takes its lock, and downloads what is missing of it,
// again and again where the connection breaks, stops, or the address is no longer good. Throws HubError.
void fetch_blob(Client& client, const RepositoryCache& cache, const Wanted& wanted, const FileEntry& entry,
                const std::function<bool()>& cancelled, const BlobNotes& notes);

}  // namespace vl3::hub
