#pragma once
// Pictures and clips that messages name by an address of the web: fetched before a request is processed, and
// given to it beside its messages. docs/media_addresses.md says what is asked, followed and refused.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vl3/export.h"
#include "vl3/media_source.h"
#include "vl3/processor.h"

namespace vl3 {

// What an address stands for; video: the part that names it is a clip, or a frame of one (then a picture).
using OpenAddress = std::function<MediaSource(const std::string& address, bool video)>;

// Calls open for every http(s) address that the request's messages name, once for each, in their order, and
// puts what it gives into request.media under the address. Addresses that are there already stay. Throws what
// open throws. Parts that no processor would take are left to it.
VL3_API void open_addresses(ProcessorRequest& request, const OpenAddress& open);

// Whether any text of a request, wherever it stands, begins with http:// or https://: then fetching may have
// to be waited for.
VL3_API bool names_addresses(const Json& request);

struct MediaFetchOptions {
  uint64_t max_image_bytes = uint64_t{256} << 20, max_video_bytes = uint64_t{8} << 30;
  std::chrono::milliseconds image_timeout{120'000}, video_timeout{3'600'000};  // of all attempts together
  std::chrono::seconds stall_timeout{30};  // with less than 512 bytes a second: then another attempt
  int attempts = 5;                        // in a row that bring nothing
  int max_redirects = 5;
  std::vector<std::string> allow_addresses;  // blocks ("10.1.0.0/16") beside the public addresses
  std::vector<std::string> connect_to;       // "HOST:PORT:ADDRESS:PORT": where a host is, in place of asking
  std::filesystem::path certificates;        // of authorities (PEM); empty: the system's
  // A folder in which what comes is kept for later runs and other processes, up to so many bytes; empty:
  // none. What it has is asked for again by If-None-Match or If-Modified-Since.
  std::filesystem::path cache;
  uint64_t cache_bytes = uint64_t{4} << 30;
  std::filesystem::path temporary;  // of downloads, where there is no cache; empty: the system's
  int remembered = 64;              // media that stay open, so that each is fetched once
  // Both may be empty; they are called by the thread that fetches.
  std::function<void(const std::string& shown, uint64_t received, uint64_t total)>
      progress;                                        // total 0: unknown
  std::function<void(const std::string& words)> note;  // what a person should know
};

// Thread-safe.
class VL3_API MediaFetcher {
 public:
  // Throws kInvalidArgument for blocks of addresses and entries of connect_to that are none, kNotFound for
  // certificates that are not there, kIo for a cache that cannot be made.
  explicit MediaFetcher(MediaFetchOptions options);
  ~MediaFetcher();

  // The medium; its name is the address without its query. trusted: whoever runs the program asked for this
  // address, so that it may be one of an inner network; others must be public, or allowed, and so must be
  // whatever a public one redirects to. Throws Error whose message begins with "[https://host/path]" and has
  // no query: kInvalidArgument for what is no address, or one that is not allowed; kNotFound where the other
  // side says no for good (4xx) or there is no such host; kLimitExceeded; kFormat for a page, a message or a
  // pointer in place of a medium; kIo where the other side cannot be reached, and for a full disk;
  // kCancelled soon after cancelled() says so, which is asked every twentieth of a second.
  MediaSource fetch(const std::string& address, bool video, bool trusted = false,
                    const std::function<bool()>& cancelled = {}) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vl3
