#pragma once
// One request of a download, without what it may redirect to.

#include <chrono>
#include <functional>
#include <string>

#include "download/download.h"
#include "download/exchange.h"

namespace vl3::download {

using Clock = std::chrono::steady_clock;

// Takes what comes: into memory, and from some size on into a file.
class Content {
 public:
  Content(uint64_t max_bytes, const DownloaderOptions& options) : max_bytes_(max_bytes), options_(options) {}
  void add(const char* bytes, size_t count);  // throws DownloadError kTooLarge, kNoSpace
  Downloaded take();
  uint64_t size() const noexcept { return size_; }

 private:
  void begin_file();
  void write(const char* bytes, size_t count);
  uint64_t max_bytes_;
  const DownloaderOptions& options_;
  std::string bytes_;
  OpenFile writable_, readable_;
  uint64_t size_ = 0;
};

// One request of a download. Where it is redirected to; empty when the content has come. Throws as
// Downloader::get.
std::string transfer(const Url& url, const DownloaderOptions& options, const AddressRules& rules,
                     const DownloadLimits& limits, Clock::time_point deadline, Content& content,
                     const std::function<bool()>& cancelled);

}  // namespace vl3::download
