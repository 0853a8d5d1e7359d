#include "fetch/address_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/kept_files.h"
#include "base/sha256.h"
#include "base/web_address.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr int kVersion = 1;
constexpr uint64_t kMaxEntryBytes = 64 << 10;
constexpr size_t kKeyDigits = 64, kMarkDigits = 12;
constexpr std::string_view kEntry = ".json", kContent = ".media";
constexpr auto kAbandoned = std::chrono::hours(1);  // content that no entry names: its writer was killed

std::string key_of(const std::string& address) {
  Sha256 hash;
  hash.add_text(address);
  return hash.hex();
}

bool all_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_content_name(std::string_view name) {
  return name.size() == kKeyDigits + 1 + kMarkDigits + kContent.size() && name.ends_with(kContent) &&
         name[kKeyDigits] == '-' && all_hex(name.substr(0, kKeyDigits)) &&
         all_hex(name.substr(kKeyDigits + 1, kMarkDigits));
}

bool is_entry_name(std::string_view name) {
  return name.size() == kKeyDigits + kEntry.size() && name.ends_with(kEntry) &&
         all_hex(name.substr(0, kKeyDigits));
}

// As AtomicFile calls it until it is whole.
bool is_unfinished_entry(std::string_view name) {
  const size_t end = kKeyDigits + kEntry.size();
  return name.size() > end && name[end] == '.' && is_entry_name(name.substr(0, end));
}

std::optional<CacheEntry> read_entry(const fs::path& path) {
  try {
    return parse_cache_entry(read_file(path, kMaxEntryBytes));
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Whether no process has it open to write: then none will name it.
void remove_abandoned_part(const fs::path& path) {
  const download::OpenFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::error_code ignored;
  if (file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) fs::remove(path, ignored);
}

}  // namespace

std::optional<CacheEntry> parse_cache_entry(std::string_view json) {
  try {
    const Json read = parse_json(json, "cache");
    const JsonView view(read, "cache");
    if (view.integer("version", 0, 0, INT64_MAX) != kVersion) return std::nullopt;
    CacheEntry entry{view.string("address", ""),
                     {view.string("etag", ""), view.string("last_modified", "")},
                     static_cast<uint64_t>(view.integer("bytes", 0, 0, INT64_MAX)),
                     view.string("content", "")};
    const auto sent = [](const std::string& text) {
      return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c != 0x7f; });
    };
    const bool whole = !entry.validators.empty() && entry.bytes > 0 && is_content_name(entry.content) &&
                       sent(entry.validators.etag) && sent(entry.validators.last_modified);
    return whole ? std::optional(entry) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string to_json_text(const CacheEntry& entry) {
  const Json json = {{"version", kVersion},           {"address", entry.address},
                     {"etag", entry.validators.etag}, {"last_modified", entry.validators.last_modified},
                     {"bytes", entry.bytes},          {"content", entry.content}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

AddressCache::AddressCache(fs::path folder, uint64_t max_bytes)
    : folder_(std::move(folder)), max_bytes_(max_bytes) {
  std::error_code error;
  fs::create_directories(folder_, error);
  require(!error && fs::is_directory(folder_), ErrorCode::kIo, "[media cache] {} cannot be made: {}",
          folder_.string(), error ? error.message() : "there is a file of that name");
}

std::optional<AddressCache::Found> AddressCache::find(const std::string& address) const {
  const fs::path path = entry_path(key_of(address));
  std::optional<CacheEntry> entry = read_entry(path);
  if (!entry) return std::nullopt;
  download::OpenFile file(
      ::open((folder_ / entry->content).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<uint64_t>(status.st_size) != entry->bytes)
    return std::nullopt;
  std::error_code ignored;
  const auto used = fs::last_write_time(path, ignored);
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
  return Found{*std::move(entry), std::move(file), used};
}

bool AddressCache::keep(const std::string& address, const Validators& validators, PartFile& content) const {
  if (content.size() > max_bytes_) return false;
  const std::string key = key_of(address);
  const std::optional<CacheEntry> before = read_entry(entry_path(key));
  // A name of its own: whoever reads the entry that is there now finds what that one names.
  Sha256 mark;
  struct stat status {};
  ::fstat(content.descriptor(), &status);
  mark.add_number(static_cast<int64_t>(status.st_ino));
  mark.add_number(std::chrono::system_clock::now().time_since_epoch().count());
  const CacheEntry entry{shown_address(address), validators, content.size(),
                         fmt::format("{}-{}{}", key, mark.hex().substr(0, kMarkDigits), kContent)};
  content.keep_as(folder_ / entry.content);
  try {
    AtomicFile file(entry_path(key));
    file.write(to_json_text(entry));
    file.commit();
  } catch (const Error&) {
    throw download::DownloadError(download::Failure::kNoSpace,
                                  "cannot be kept: the disk of the cache is full");
  }
  std::error_code gone;
  if (before) fs::remove(folder_ / before->content, gone);
  trim();
  return true;
}

void AddressCache::trim() const {
  std::vector<KeptFiles> kept;
  std::vector<fs::path> contents;  // and entries that are not finished
  std::set<std::string> named;
  std::error_code gone;  // other processes trim as well
  for (const auto& file : fs::directory_iterator(folder_, gone)) {
    const std::string name = file.path().filename().string();
    if (name.starts_with(PartFile::kPrefix)) remove_abandoned_part(file.path());
    if (is_content_name(name) || is_unfinished_entry(name)) contents.push_back(file.path());
    if (!is_entry_name(name)) continue;
    const std::optional<CacheEntry> entry = read_entry(file.path());
    if (!entry) continue;
    named.insert(entry->content);
    kept.push_back({file.last_write_time(gone), entry->bytes, {file.path(), folder_ / entry->content}});
  }
  for (const fs::path& path : contents) {
    const bool old = fs::file_time_type::clock::now() - fs::last_write_time(path, gone) > kAbandoned;
    if (!named.contains(path.filename().string()) && !gone && old) fs::remove(path, gone);
  }
  remove_longest_unused(std::move(kept), max_bytes_);
}

}  // namespace vl3
