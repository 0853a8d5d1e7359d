#pragma once
// Media that stay open between a look at their headers and the reading of their pixels: every file is opened
// once, and packets of clips are read once.

#include <memory>
#include <string>
#include <vector>

#include "vl3/export.h"
#include "vl3/image.h"
#include "vl3/media_limits.h"
#include "vl3/media_source.h"
#include "vl3/video.h"
#include "vl3/video_processor.h"

namespace vl3 {

// What tells a file that was changed from what it was: its inode, size and times.
struct FileStamp {
  std::string path;
  uint64_t device = 0, inode = 0;
  int64_t bytes = 0, changed_ns = 0, status_changed_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

// A picture of which the header was read.
struct OpenPicture {
  MediaSource source;
  int64_t height = 0, width = 0;             // upright
  std::shared_ptr<const std::string> bytes;  // of its file, as long as not too many are held; else null
  std::vector<FileStamp> stamps;             // when it was read; none of what lies in memory
};

struct OpenClip {
  std::vector<MediaSource> sources;
  std::unique_ptr<VideoReader> reader;
  std::vector<FileStamp> stamps;  // before it was opened; none of what lies in memory
};

// Not for several threads at a time.
class VL3_API OpenMedia {
 public:
  // A clip that keep() was given for these sources and options, or one newly opened. Throws what open_clip
  // throws.
  OpenClip take(const std::vector<MediaSource>& sources, const MediaLimits& limits,
                const VideoOptions& options);
  // Closes it where too many are open already.
  void keep(OpenClip clip, const VideoOptions& options);

  // Opened by the first call. Throws what probe_image throws.
  const OpenPicture& picture(const MediaSource& source, const MediaLimits& limits);

  // What a data: URL (or bare base64) of a message holds, found by the SHA-256 of its text: null where
  // keep_text was not called for it.
  const std::vector<MediaSource>* find_text(const std::string& hash) const;
  void keep_text(std::string hash, std::vector<MediaSource> parts);

 private:
  struct KeptClip {
    OpenClip clip;
    bool rotate;                          // how it was opened
    std::optional<double> pictures_rate;  // likewise
  };
  std::vector<KeptClip> clips_;
  std::vector<std::unique_ptr<OpenPicture>> pictures_;
  int64_t held_bytes_ = 0;
  std::vector<std::pair<std::string, std::vector<MediaSource>>> texts_;
};

}  // namespace vl3
