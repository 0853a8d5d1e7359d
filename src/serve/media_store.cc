#include "serve/media_store.h"

namespace vl3::serve {
namespace {

// Of an entry and of each source, beside their content.
constexpr uint64_t kOverheadBytes = 512;

uint64_t bytes_of(const std::string& client, const std::string& uuid, const Medium& medium) {
  uint64_t bytes = kOverheadBytes + 2 * (client.size() + uuid.size());
  bytes += medium.timestamps.size() * sizeof(double);
  for (const MediaSource& source : medium.sources)
    bytes += kOverheadBytes + source.size_bytes() + source.name().size();
  return bytes;
}

}  // namespace

void MediaStore::drop(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  places_.erase(entry->key);
  entries_.erase(entry);
}

void MediaStore::put(const std::string& client, const std::string& uuid, MediaKind kind, Medium medium) {
  const uint64_t bytes = bytes_of(client, uuid, medium);
  Key key{client, uuid, kind};
  const std::lock_guard lock(mutex_);
  if (const auto known = places_.find(key); known != places_.end()) drop(known->second);
  if (bytes > max_bytes_) return;
  while (bytes_ + bytes > max_bytes_) drop(std::prev(entries_.end()));
  entries_.push_front({key, std::move(medium), bytes});
  places_.emplace(std::move(key), entries_.begin());
  bytes_ += bytes;
}

std::optional<Medium> MediaStore::find(const std::string& client, const std::string& uuid, MediaKind kind) {
  const std::lock_guard lock(mutex_);
  const auto known = places_.find({client, uuid, kind});
  if (known == places_.end()) return {};
  entries_.splice(entries_.begin(), entries_, known->second);
  return entries_.front().medium;
}

uint64_t MediaStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace vl3::serve
