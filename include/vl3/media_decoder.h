#pragma once
// Who reads and decodes pictures and clips where this process should not do it itself: a server has foreign
// bytes decoded by processes that can do nothing else. A source says who decodes it
// (MediaSource::decoded_by).

#include <memory>
#include <optional>
#include <vector>

#include "vl3/export.h"
#include "vl3/image.h"
#include "vl3/media_limits.h"
#include "vl3/media_source.h"
#include "vl3/video.h"

namespace vl3 {

// Thread-safe. Gives what decoding here would give, bit for bit, and throws what that throws; beside it
// kLimitExceeded where decoding took more time or memory than it may, and kFormat where the decoder died of
// it.
class VL3_API MediaDecoder {
 public:
  virtual ~MediaDecoder() = default;

  // probe_image: the size is that of the picture upright.
  virtual ImageInfo probe_picture(const MediaSource& source, const MediaLimits& limits) = 0;
  // decode_image into *image: upright, in bands where its format allows for that. ready may be null.
  virtual void decode_picture(const MediaSource& source, const MediaLimits& limits, Image* image,
                              const RowsReady& ready) = 0;
  // A clip as processor/open_clip.h opens it: a file, or pictures that are its frames. upright: its frames
  // come as its container says that they are turned.
  virtual std::unique_ptr<VideoReader> open_clip(const std::vector<MediaSource>& sources,
                                                 const MediaLimits& limits, bool upright,
                                                 std::optional<double> pictures_rate) = 0;
};

}  // namespace vl3
