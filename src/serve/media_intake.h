#pragma once
// Pictures and clips that requests name, from wherever they may come: data: URLs, bare base64, http(s)
// addresses, files under the root that was allowed, and what was sent before under a uuid.
// docs/media_security.md says what is let in.

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/media_decoder.h"
#include "vl3/media_limits.h"
#include "vl3/media_source.h"

namespace vl3::serve {

class Metrics;

struct MediaIntakeOptions {
  std::filesystem::path root;                // file: URLs must lie under it; empty: none are read
  std::vector<std::string> allow_addresses;  // CIDR blocks beside the public ones
  int max_redirects = 3;
  uint64_t max_image_bytes = uint64_t{64} << 20, max_video_bytes = uint64_t{1} << 30;  // of one download
  std::chrono::milliseconds image_timeout{10'000}, video_timeout{30'000};
  int64_t max_frames_of_list = 4096;                    // of a data:video/jpeg list
  uint64_t max_remembered_bytes = uint64_t{256} << 20;  // of what uuids stand for
  std::filesystem::path temporary;                      // folder of larger downloads; empty: the system's
  MediaLimits limits;
  Metrics* metrics = nullptr;             // that are fed; outlive this; may be null
  std::shared_ptr<MediaDecoder> decoder;  // of all sources that come out; null: they are decoded here
};

enum class MediaKind { kImage, kVideo };

// What one or more URLs stand for. Of a list of frames: how these follow each other, where that was said.
struct Medium {
  std::vector<MediaSource> sources;
  bool frames = false;  // a list, even of one
  std::optional<double> frames_fps;
  std::vector<double> timestamps;  // when each frame is shown, in seconds
  bool operator==(const Medium&) const = default;
};

// Whether a URL is frame after frame: data:video/jpeg;base64,A,B.
bool is_joined_frames(std::string_view url);

// Since the beginning, for /metrics.
struct MediaIntakeStats {
  int64_t downloads = 0, downloaded_bytes = 0;
  double download_s = 0;
  std::map<std::string, int64_t> refused;  // by the ApiError's code
};

// Thread-safe; calls may take as long as a download.
class MediaIntake {
 public:
  // Throws kInvalidArgument for a block of addresses that is none, kNotFound and kIo for a root that is no
  // folder.
  explicit MediaIntake(MediaIntakeOptions options);
  ~MediaIntake();

  // What a URL or bare base64 stands for: one source, or the frames of a clip. param is where it stood in the
  // request; it and never an inner address is in messages, and sources have it as their name. Throws
  // ApiError: 400 for what is malformed, of an unknown scheme, or a file that is not there; 403 for files
  // outside the root and addresses that are not allowed; 422 for what is too large, or where the other side
  // says no for good; 502 and 504 where it may be tried again, 503 where this machine's disk is full. Throws
  // Error kCancelled within a tenth of a second of cancelled() saying so. It is asked during downloads and
  // may be empty.
  std::vector<MediaSource> fetch(const std::string& url, MediaKind kind, const std::string& param,
                                 const std::function<bool()>& cancelled);

  // What `client` sent under this uuid; throws ApiError 400 ("unknown_uuid") where it sent nothing, or it was
  // dropped for newer ones.
  Medium recall(const std::string& client, const std::string& uuid, MediaKind kind, const std::string& param);
  void remember(const std::string& client, const std::string& uuid, MediaKind kind, Medium medium);

  MediaIntakeStats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vl3::serve
