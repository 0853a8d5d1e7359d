#pragma once
// One file from the web, for people whom this machine does not trust: from public addresses alone, with
// limits on everything that the other side decides.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "download/addresses.h"

namespace vl3::download {

enum class Failure {
  kBadUrl,            // Url says why
  kForbiddenAddress,  // it, or what it redirects to, is no public address, nor one that was allowed
  kTooManyRedirects,
  kTooLarge,
  kRefused,    // the other side said no for good: 4xx but for 408 and 429, or a name that is not known
  kUnusable,   // no content, a status that is no answer, content that is packed
  kUpstream,   // 5xx, 408, 429, no connection, an answer that is none or was cut off: it may be tried again
  kTimeout,    // likewise
  kUntrusted,  // its certificate is not accepted: trying again helps nobody
  kNoSpace,    // of this machine's own disk
};

// The message completes a sentence about what was asked for: "was refused by its server with status 404".
// There is no address in it, and nothing that the other side wrote.
class DownloadError : public std::runtime_error {
 public:
  DownloadError(Failure failure, const std::string& message)
      : std::runtime_error(message), failure_(failure) {}
  Failure failure() const noexcept { return failure_; }

 private:
  Failure failure_;
};

class Url;
// The address that somebody asks for, and the one that a Location field leads to. Throw DownloadError kBadUrl
// and kUnusable, with what is wrong with it.
Url url_asked_for(const std::string& address);
Url url_redirected_to(const Url& from, const std::string& location);

// A file descriptor with one owner.
class OpenFile {
 public:
  explicit OpenFile(int descriptor = -1) noexcept : descriptor_(descriptor) {}
  OpenFile(OpenFile&& other) noexcept : descriptor_(other.release()) {}
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile();
  int get() const noexcept { return descriptor_; }
  int release() noexcept;

 private:
  int descriptor_;
};

struct Downloaded {
  std::string bytes;  // the whole content, or, where it is larger than memory_bytes:
  OpenFile file;      // open for reading, without a name on the disk
  uint64_t size = 0;
};

struct DownloadLimits {
  uint64_t max_bytes = uint64_t{64} << 20;   // counted as they come
  std::chrono::milliseconds timeout{5'000};  // of everything, redirects included
};

struct DownloaderOptions {
  std::vector<std::string> allow_addresses;  // blocks beside the public addresses
  int max_redirects = 3;
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::seconds stall_timeout{5};  // with less than stall_bytes_per_s
  int64_t stall_bytes_per_s = 512;
  uint64_t memory_bytes = uint64_t{1} << 20;  // larger content goes to a file
  std::filesystem::path folder;               // of these files; empty: the system's for temporary ones
};

// Thread-safe.
class Downloader {
 public:
  // Throws kInvalidArgument for a block that is none.
  explicit Downloader(DownloaderOptions options);

  // GET, HTTP/1.1, nothing sent that tells who asks: no cookies, no keys, no proxy of the environment. Every
  // address is checked when it is connected to, after names were resolved, and so is every redirect. Content
  // is taken as it is, never unpacked. Throws DownloadError, and Error kCancelled within a tenth of a second
  // of cancelled() saying so.
  Downloaded get(const std::string& url, const DownloadLimits& limits,
                 const std::function<bool()>& cancelled) const;

 private:
  DownloaderOptions options_;
  AddressRules rules_;
};

}  // namespace vl3::download
