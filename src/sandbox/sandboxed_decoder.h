#pragma once
// Pictures and clips decoded by processes that can do nothing else: docs/media_security.md.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vl3/media_decoder.h"

namespace vl3::sandbox {

// What becomes of decoders. kDecoded: one was done with its picture or clip; seconds: how long it was waited
// for.
struct SandboxEvent {
  enum class Kind { kDecoded, kCrashed, kTimedOut, kRestarted };
  Kind kind = Kind::kDecoded;
  double seconds = 0;
};

struct SandboxOptions {
  // What runs wait_for_orders (worker.h); empty: this program with the argument "decode-worker".
  std::vector<std::string> command;
  uint64_t memory_bytes = uint64_t{4} << 30;         // of one decoder
  int cpu_s = 300;                                   // of all threads of one
  std::chrono::milliseconds answer_timeout{30'000};  // from one picture, band or frame to the next
  std::chrono::milliseconds total_timeout{
      300'000};  // of all of them, without the time that others took for them
  // Pixels of all frames that one reading of a clip asks for: 180 frames of 8K fit in.
  int64_t max_clip_pixels = int64_t{1} << 33;
  // Decoders at a time. Clips that were opened and are not being read give theirs up when there are more, and
  // are opened again.
  int max_decoders = 32;
  std::function<void(const SandboxEvent&)> on_event;  // for metrics: by any thread, and quick
};

// Since the beginning, for /metrics.
struct SandboxStats {
  int64_t jobs = 0;       // decoders that were made
  int64_t running = 0;    // that are there now
  int64_t crashed = 0;    // that died of what they decoded, or broke a rule
  int64_t timed_out = 0;  // that were ended for taking too long
  int64_t restarts = 0;   // of the process that makes them
};

// A process for each picture that is probed, picture that is decoded, and clip. Beside what MediaDecoder says
// it throws kFormat where a decoder crashes ("[x] crashed its decoder (…)"), kLimitExceeded where it takes
// too long or too much memory, kCancelled within a tenth of a second of a clip's reading being cancelled and
// where the process that forks decoders died meanwhile, and kIo where no process can be made. Numbers and
// sizes that a decoder tells are checked against the limits once more. Clips must not outlive it.
class SandboxedDecoder final : public MediaDecoder {
 public:
  explicit SandboxedDecoder(SandboxOptions options = {});
  ~SandboxedDecoder() override;

  ImageInfo probe_picture(const MediaSource& source, const MediaLimits& limits) override;
  void decode_picture(const MediaSource& source, const MediaLimits& limits, Image* image,
                      const RowsReady& ready, bool apply_exif_orientation = true) override;
  std::unique_ptr<VideoReader> open_clip(const std::vector<MediaSource>& sources, const MediaLimits& limits,
                                         bool upright, std::optional<double> pictures_rate) override;

  // Decodes a picture of its own: throws what that throws. For a server before it takes requests, which
  // should say at once that there is no sandbox here.
  void check();
  SandboxStats stats() const;

 private:
  std::shared_ptr<class DecoderPool> pool_;
};

}  // namespace vl3::sandbox
