#pragma once
// The frames of an AVIF file: one, or those of an image sequence.

#include <avif/avif.h>

#include <cstdint>
#include <memory>

#include "media/image_codec.h"

namespace vl3::media {

class AvifReader {
 public:
  // The source has to outlive it.
  explicit AvifReader(const Source& source);

  const ImageInfo& info() const { return info_; }
  // When a frame of a sequence ends, in seconds from the first one on.
  double end_s(int64_t frame) const;
  // Frames in any order; those that one is made from are decoded before it.
  void read(int64_t frame, Image* image);

 private:
  struct Destroy {
    void operator()(avifDecoder* p) const { avifDecoderDestroy(p); }
  };
  const avifImage& decode(int64_t frame);

  const Source& source_;
  std::unique_ptr<avifDecoder, Destroy> decoder_;
  ImageInfo info_;
};

}  // namespace vl3::media
