#pragma once
// Pictures and clips that requests name, from wherever they may come: data: URLs, bare base64, http(s)
// addresses, files under the root that was allowed, and what was sent before under a uuid.

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vl3/media_limits.h"
#include "vl3/media_source.h"

namespace vl3::serve {

struct MediaIntakeOptions {
  std::filesystem::path root;  // file: URLs and plain paths must lie under it; empty: none are read
  std::vector<std::string> allow_addresses;  // CIDR blocks beside the public ones
  int max_redirects = 3;
  uint64_t max_image_bytes = uint64_t{64} << 20, max_video_bytes = uint64_t{1} << 30;  // of one download
  std::chrono::milliseconds image_timeout{5'000}, video_timeout{30'000};
  int64_t max_frames_of_list = 4096;                    // of a data:video/jpeg list
  uint64_t max_remembered_bytes = uint64_t{256} << 20;  // of what uuids stand for
  MediaLimits limits;
};

enum class MediaKind { kImage, kVideo };

// Thread-safe; calls may take as long as a download.
class MediaIntake {
 public:
  explicit MediaIntake(MediaIntakeOptions options);
  ~MediaIntake();

  // What a URL, a path or bare base64 stands for. param is where it stood in the request; it and never an
  // inner address is in messages. Throws ApiError: 400 for what is malformed or of an unknown scheme, 403 for
  // files outside the root and addresses that are not allowed, 413/422 for what is too large, 422 where the
  // other side says no for good, 502 and 504 where it may be tried again. cancelled is asked during
  // downloads.
  std::vector<MediaSource> fetch(const std::string& url, MediaKind kind, const std::string& param,
                                 const std::function<bool()>& cancelled);

  // What `client` sent under this uuid; throws ApiError 400 ("unknown_uuid") where it sent nothing, or it was
  // dropped for newer ones.
  std::vector<MediaSource> recall(const std::string& client, const std::string& uuid, MediaKind kind,
                                  const std::string& param);
  void remember(const std::string& client, const std::string& uuid, MediaKind kind,
                std::vector<MediaSource> sources);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vl3::serve
