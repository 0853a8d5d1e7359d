#pragma once
// What a picture or clip may cost before it is refused. Sizes come from headers, which anybody can write, so
// every one of them is compared with these limits before memory is taken for it.

#include <cstdint>

namespace vl3 {

// A value above its limit throws kLimitExceeded, and the message names the limit's field. A limit of zero or
// less lets nothing through. The limits are independent of each other: the smallest in effect decides.
struct MediaLimits {
  // Width x height of one picture or frame. The default is where Pillow starts to suspect a bomb.
  int64_t max_pixels = 178956970;
  // Bytes of a file read whole into memory (pictures, animated GIFs). Clips are streamed and not bound by it.
  int64_t max_file_bytes = int64_t{1} << 30;
  // Bytes of any one buffer or of a decoder's memory for one picture or frame, whatever its pixels are.
  int64_t max_allocation_bytes = int64_t{2} << 30;
  // Frames of a clip, an animated GIF or a folder of pictures, as declared or as counted.
  int64_t max_frames = 1000000;
  // Length of a clip in seconds.
  double max_duration_s = 24.0 * 3600.0;
  // Compressed bytes of one packet of a clip.
  int64_t max_packet_bytes = int64_t{256} << 20;
};

}  // namespace vl3
