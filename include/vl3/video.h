#pragma once
// Stage 1 for clips: which frames are looked at, and their pixels, one at a time.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vl3/error.h"
#include "vl3/export.h"
#include "vl3/image.h"
#include "vl3/media_limits.h"
#include "vl3/media_source.h"

namespace vl3 {

// How stored frames are made to stand upright: first mirrored, the left side to the right, then turned.
struct ClipTurn {
  bool mirrored = false;
  int quarters = 0;  // of a circle to the right, 0 to 3

  explicit operator bool() const noexcept { return mirrored || quarters != 0; }
  bool operator==(const ClipTurn&) const = default;
};

struct VideoInfo {
  int64_t height = 0,
          width =
              0;  // of a frame, as stored: a rotation in the container is not applied, as in the reference
  ClipTurn turn;  // that rotation, to the nearest quarter; none for pictures
  bool upright = false;       // it is applied all the same: VideoReader::turn_upright
  int64_t total_frames = 0;   // that can be shown: counted by reading the packets
  std::optional<double> fps;  // average rate; absent for pictures that are frames without one
  double duration_s = 0;      // 0 without a rate
  // When each frame is shown, from the first one on; empty where frame i is shown at i / fps, within the
  // rounding of the container's clock.
  std::vector<double> times_s;
  std::string format;  // "mov,mp4,…/h264", "pictures"
};

// An undamaged clip ended before a frame that was asked for. The reader's info() then says what there is, and
// frames can be sampled anew.
class VL3_API ClipEnded : public Error {
 public:
  explicit ClipEnded(const std::string& message) : Error(ErrorCode::kFormat, message) {}
};

// A clip that is read from front to back: a file (or its bytes) that FFmpeg's libraries decode in this
// process, an animated WebP or AVIF, pictures that are its frames, or frames that are decoded already. Of a
// folder these are its pictures in the order of their names, where numbers count as such (frame_2 before
// frame_10); other files are left out, which notes() say. Memory is bounded by a few frames.
class VL3_API VideoReader {
 public:
  // Throws kNotFound, kIo, kFormat (no clip, or broken: where), kUnsupported (a container or codec that is
  // not allowed), kLimitExceeded.
  // pictures_rate: frames per second of pictures, and of frames without times; without it they have no rate.
  // Files have their own, but for streams of one codec without a container that say none: 25 are assumed
  // without it, which notes() say.
  static std::unique_ptr<VideoReader> open(const MediaSource& source, const MediaLimits& limits = {},
                                           std::optional<double> pictures_rate = {});
  static std::unique_ptr<VideoReader> open_pictures(std::vector<MediaSource> pictures,
                                                    const MediaLimits& limits = {},
                                                    std::optional<double> pictures_rate = {});
  virtual ~VideoReader() = default;

  const VideoInfo& info() const noexcept { return info_; }

  // Calls sink(position in indices, frame) for every index, which ascend and may repeat; the frame is only
  // lent. May be called again. Throws kFormat, naming file, frame and time, where the clip breaks; ClipEnded
  // where it ends before a frame that was asked for; kCancelled when cancelled() says so, asked once a frame.
  virtual void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
                    const std::function<bool()>& cancelled = {}) = 0;

  // Frames come as info().turn says from now on, and info() has the size that they then have.
  virtual void turn_upright() {}

  // From now on frames that are broken or lost are no error: what the decoder makes of them is taken, or the
  // frame before them once more, and notes() says so.
  virtual void skip_broken_frames(bool skip) { skip_broken_ = skip; }

  // What a person should know of the last read(), each a sentence that begins with the file.
  const std::vector<std::string>& notes() const noexcept { return notes_; }

  // Of the last read(), those that nobody asked for among them. Where few of many frames of a file are
  // wanted, decoding leaps from one to the next; pictures are read singly and not counted.
  int64_t frames_decoded() const noexcept { return frames_decoded_; }

 protected:
  VideoInfo info_;
  std::vector<std::string> notes_;
  int64_t frames_decoded_ = 0;
  bool skip_broken_ = false;
};

// What times of frames are. They differ for clips of a variable rate.
enum class ClipTimes {
  kTimestamps,  // as the clip says
  kFrames,      // index / average rate, as the reference has it
};

// Which frames are looked at, under the reference's names. Reference:
// VideoLlama3VideoProcessor.sample_frames.
struct FrameSampling {
  std::optional<double> fps;          // frames per second of the clip …
  std::optional<int64_t> num_frames;  // … or so many in all; neither: every frame
  int64_t min_frames = 4;             // with fps
  int64_t max_frames = 180;           // with fps
  int64_t temporal_patch_size = 1;    // counts are rounded down to a multiple
  std::optional<double> start_time;   // seconds; frames before are left out, beyond the reference
  std::optional<double> end_time;     // seconds; frames from here on are left out
  ClipTimes times = ClipTimes::kTimestamps;
};

struct SampledFrames {
  std::vector<int64_t> indices;    // into the clip, ascending
  std::vector<double> timestamps;  // seconds
  bool fps_assumed = false;        // the clip has no rate, and 1 per second was taken, as the reference does
};

// A clip of a constant rate gets the reference's indices and times. Where the rate varies, the moments at
// which to look are spread over time instead: with fps, the frame that is shown at a moment is taken, each
// once, so that there are fewer where the picture stands longer than a moment, but not fewer than min_frames;
// with num_frames, so many different ones.
// Throws kInvalidArgument where the settings contradict each other or the clip: fps with num_frames, more
// frames than there are, a range without frames.
VL3_API SampledFrames sample_frames(const VideoInfo& info, const FrameSampling& sampling);

}  // namespace vl3
