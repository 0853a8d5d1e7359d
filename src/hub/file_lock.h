#pragma once
// The locks of the cache, which huggingface_hub takes as well: flock(2) on a file of its own that stays.

#include <filesystem>
#include <functional>
#include <string>

#include "download/download.h"

namespace vl3::hub {

class FileLock {
 public:
  // Waits until nobody else holds it. The file is made where it is absent (mode: before the umask), never
  // through a link, and never removed: one that another program removed meanwhile is opened again. Where the
  // file system knows no locks, there is none: what is right does not depend on it. Throws kIo, and
  // kCancelled where cancelled() says so (asked every 50 ms). waiting(): once, before the first wait.
  FileLock(const std::filesystem::path& path, unsigned mode, const std::function<bool()>& cancelled,
           const std::function<void()>& waiting = {});

 private:
  download::OpenFile file_;  // closing it gives the lock back
};

}  // namespace vl3::hub
