#pragma once
// Stage 2 for clips: frames → patches, and which visual tokens are worth keeping. Reference:
// VideoLlama3VideoProcessor.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vl3/export.h"
#include "vl3/image_processor.h"
#include "vl3/video.h"

namespace vl3 {

// Defaults are those of the reference's class.
struct VL3_API VideoOptions : PixelOptions {
  VideoOptions() {
    merge_size = 2;
    shortest_edge = 128 * 28 * 28;
    longest_edge = 28 * 28 * 768;
  }
  std::optional<double> fps;
  std::optional<int64_t> num_frames;
  int64_t min_frames = 4;
  int64_t max_frames = 180;
  bool do_sample_frames =
      false;  // fps and num_frames count only with it; a call that gives one of them turns it on
  bool use_token_compression = true;
  std::optional<double> start_time, end_time;  // seconds, beyond the reference
  bool rotate = false;                  // "auto" or "off": VideoReader::turn_upright, beyond the reference
  std::optional<double> pictures_rate;  // of clips that are pictures, per second, beyond the reference
  ClipTimes times = ClipTimes::kTimestamps;  // "timestamps" or "frames", beyond the reference
  bool skip_broken_frames = false;           // VideoReader::skip_broken_frames, beyond the reference

  // As PixelOptions::merge, with the keys above. file: json is a checkpoint's file, whose fps does not turn
  // sampling on.
  std::vector<std::string> merge(const Json& json, std::string_view origin, bool file = false);
  bool operator==(const VideoOptions&) const = default;
};

// What was looked at of one clip; what --explain shows.
struct ClipReport {
  std::string name;
  VideoInfo info;
  SampledFrames frames;
  std::vector<int64_t> kept;  // visual tokens kept of each frame
  int64_t tokens_per_frame = 0;
  std::vector<std::string> notes;  // what a person should know of it: clip_notes, and where it was shorter
};

struct VideoFeatures {
  Tensor pixel_values_videos;     // [P, 3·temporal·p·p] f32 in merge-block order
  Tensor video_grid_thw;          // [clips, 3] i64
  Tensor video_merge_sizes;       // [clips] i64
  Tensor video_compression_mask;  // [V] u8, 1 for tokens to keep
  std::vector<ClipReport> clips;
};

// A clip and the options it is processed with; they may differ from clip to clip.
struct ClipInput {
  std::string name;  // for messages and reports
  VideoReader* reader = nullptr;
  VideoOptions options;
};

class OpenMedia;

struct ProcessHooks {
  std::function<bool()> cancelled;                           // asked once a frame
  std::function<void(int64_t done, int64_t total)> decoded;  // frames
  // Of a VisualStream: its next() need not wait any more. Told by the stream's own thread, without a lock.
  std::function<void()> available;
  OpenMedia* opened = nullptr;  // that a plan has opened
};

class VL3_API VideoProcessor {
 public:
  explicit VideoProcessor(VideoOptions options = {}) : options_(options) {}
  // video_preprocessor_config.json, or "video_processor" in processor_config.json; defaults where both are
  // absent.
  static VideoProcessor from_pretrained(const std::filesystem::path& folder);

  const VideoOptions& options() const noexcept { return options_; }
  // Frames are resized as they arrive; none is held in full.
  VideoFeatures preprocess(ThreadPool& threads, std::span<const ClipInput> clips,
                           const ProcessHooks& hooks = {}) const;
  // Patches of a clip of this size, from the size alone.
  int64_t get_num_of_video_patches(int64_t num_frames, int64_t height, int64_t width) const;
  static int64_t get_num_of_video_patches(const VideoOptions& options, int64_t num_frames, int64_t height,
                                          int64_t width);

 private:
  VideoOptions options_;
};

// The frames that options pick of a clip.
VL3_API SampledFrames sample_frames(const VideoInfo& info, const VideoOptions& options);

// Which visual tokens of t frames to keep: those whose pixels differ from the frame before by more than
// threshold (mean absolute difference of normalised values, times 255), all of the first frame, and at least
// min_tokens of every frame. patches [t·h·w, words] f32 in merge-block order → [t·(h/merge)·(w/merge)].
// Reference: _get_compression_mask.
VL3_API std::vector<uint8_t> compression_mask(const Tensor& patches, int64_t t, int64_t h, int64_t w,
                                              int64_t merge, double threshold = 0.1, int64_t min_tokens = 1);

}  // namespace vl3
