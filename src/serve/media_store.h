#pragma once
// What clients sent under a name of their own, to be named again: each client's apart from all others', the
// longest unused dropped first.

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "serve/media_intake.h"

namespace vl3::serve {

// Thread-safe.
class MediaStore {
 public:
  explicit MediaStore(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  // In place of what was there under these names. What is larger than everything that may be held is not
  // kept.
  void put(const std::string& client, const std::string& uuid, MediaKind kind, Medium medium);
  // Nothing where it is not there any more.
  std::optional<Medium> find(const std::string& client, const std::string& uuid, MediaKind kind);
  uint64_t bytes() const;

 private:
  using Key = std::tuple<std::string, std::string, MediaKind>;
  struct Entry {
    Key key;
    Medium medium;
    uint64_t bytes;
  };
  void drop(std::list<Entry>::iterator entry);

  const uint64_t max_bytes_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the last used first
  std::map<Key, std::list<Entry>::iterator> places_;
  uint64_t bytes_ = 0;
};

}  // namespace vl3::serve
