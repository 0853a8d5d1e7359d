#pragma once
// Where a picture or a clip comes from: a file, bytes in memory, or frames that are decoded already; and who
// decodes it.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vl3/export.h"
#include "vl3/image.h"

namespace vl3 {

class MediaDecoder;

// Immutable and cheap to copy: copies share what is held.
class VL3_API MediaSource {
 public:
  enum class Kind { kFile, kBytes, kFrames, kOpenFile };

  // A file, or a folder whose pictures are the frames of a clip. Nothing is opened yet.
  MediaSource(std::filesystem::path path);
  // What a file of pictures or a clip would hold, of any format that is read from files. name stands for it
  // in messages. Throws kInvalidArgument where there are none.
  static MediaSource bytes(std::string bytes, std::string name);
  // The same of bytes that lie elsewhere, which are not copied: whoever lends them is told of the last use by
  // the pointer's deleter, on any thread. Nothing may write to them until then.
  static MediaSource lent_bytes(std::shared_ptr<const std::byte> data, size_t size, std::string name);
  // Pixels: one picture, or the frames of a clip, all of one size. times_s: when each frame is shown, in
  // seconds, ascending; empty: the frames have no times, and VideoOptions::pictures_rate counts. Pixels that
  // are lent (Image::lent) are not copied, and nothing may write to them until they are let go. Throws
  // kInvalidArgument, naming the frame, where sizes, times and numbers of bytes do not fit together.
  static MediaSource frames(std::vector<Image> frames, std::vector<double> times_s = {},
                            std::string name = "frames");

  // A regular file that is open for reading, wherever its name leads by now: the descriptor is the source's
  // from here on, and closed with its last copy. Read by place, so that several may read at once. Throws kIo
  // where it is no regular file, and closes it then.
  static MediaSource open_file(int descriptor, std::string name);

  // The same, which shares what is held, but that others read and decode it (vl3/media_decoder.h): whoever
  // opens it asks them. Null: this process does, as for all sources that are newly made.
  MediaSource decoded_by(std::shared_ptr<MediaDecoder> decoder) const;

  Kind kind() const noexcept;
  const std::string& name() const noexcept;             // a file's path
  const std::filesystem::path& path() const noexcept;   // empty but for files
  std::span<const std::byte> data() const noexcept;     // empty but for bytes
  const std::vector<Image>& pictures() const noexcept;  // empty but for frames
  const std::vector<double>& times_s() const noexcept;  // likewise
  int descriptor() const noexcept;                      // -1 but for open files
  uint64_t size_bytes() const;  // of bytes and open files as they were made; 0 for others
  const std::shared_ptr<MediaDecoder>& decoder() const noexcept { return decoder_; }
  bool operator==(const MediaSource& other) const;  // the same path, file or content, and decoder

 private:
  struct Content;
  explicit MediaSource(std::shared_ptr<const Content> content);
  std::shared_ptr<const Content> content_;
  std::shared_ptr<MediaDecoder> decoder_;
};

}  // namespace vl3
