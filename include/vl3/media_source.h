#pragma once
// Where a picture or a clip comes from: a file, bytes in memory, or frames that are decoded already.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vl3/export.h"
#include "vl3/image.h"

namespace vl3 {

// Immutable and cheap to copy: copies share what is held.
class VL3_API MediaSource {
 public:
  enum class Kind { kFile, kBytes, kFrames };

  // A file, or a folder whose pictures are the frames of a clip. Nothing is opened yet.
  MediaSource(std::filesystem::path path);
  // What a file of pictures or a clip would hold, of any format that is read from files. name stands for it
  // in messages. Throws kInvalidArgument where there are none.
  static MediaSource bytes(std::string bytes, std::string name);
  // Pixels: one picture, or the frames of a clip, all of one size. times_s: when each frame is shown, in
  // seconds, ascending; empty: the frames have no times, and VideoOptions::pictures_rate counts. Throws
  // kInvalidArgument, naming the frame, where sizes, times and numbers of bytes do not fit together.
  static MediaSource frames(std::vector<Image> frames, std::vector<double> times_s = {},
                            std::string name = "frames");

  Kind kind() const noexcept;
  const std::string& name() const noexcept;             // a file's path
  const std::filesystem::path& path() const noexcept;   // empty but for files
  std::span<const std::byte> data() const noexcept;     // empty but for bytes
  const std::vector<Image>& pictures() const noexcept;  // empty but for frames
  const std::vector<double>& times_s() const noexcept;  // likewise
  bool operator==(const MediaSource& other) const;      // the same path, or the same content

 private:
  struct Content;
  explicit MediaSource(std::shared_ptr<const Content> content);
  std::shared_ptr<const Content> content_;
};

}  // namespace vl3
