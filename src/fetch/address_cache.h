#pragma once
// Media of the web in a folder, for later runs and for other processes.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/part_file.h"
#include "fetch/web_transfer.h"

namespace vl3 {

// What KEY.json of a cache holds.
struct CacheEntry {
  std::string address;  // as people may see it
  Validators validators;
  uint64_t bytes = 0;
  std::string content;  // the name of its file in the folder
};
// Nothing for what is damaged or no entry: nothing in it leads out of the folder.
std::optional<CacheEntry> parse_cache_entry(std::string_view json);
std::string to_json_text(const CacheEntry& entry);

// An address has two files, named by the SHA-256 of its whole text: KEY.json, and KEY-….media, which it
// names. Both appear whole or not at all, and what is open stays readable when it is removed, so processes
// may share a folder. KEY.json's time of change is that of its last use. Thread-safe.
class AddressCache {
 public:
  // Makes the folder; throws kIo where that fails.
  AddressCache(std::filesystem::path folder, uint64_t max_bytes);

  struct Found {
    CacheEntry entry;
    download::OpenFile file;
    std::filesystem::file_time_type used;  // before this time
  };
  // Nothing where it has none, or what it has is damaged.
  std::optional<Found> find(const std::string& address) const;
  // Where content for an address is to be written.
  PartFile begin() const { return PartFile::named(folder_); }
  // Keeps content that came with these validators in place of what was there, and removes what was used
  // longest ago until max_bytes hold. False where it is larger than all of them together. Throws
  // DownloadError kNoSpace.
  bool keep(const std::string& address, const Validators& validators, PartFile& content) const;

 private:
  std::filesystem::path entry_path(const std::string& key) const { return folder_ / (key + ".json"); }
  void trim() const;
  std::filesystem::path folder_;
  uint64_t max_bytes_;
};

}  // namespace vl3
