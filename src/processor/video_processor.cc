#include "vl3/video_processor.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/json.h"
#include "base/model_folder.h"
#include "base/one_of.h"
#include "processor/clip_patches.h"
#include "processor/config_files.h"
#include "processor/pixel_difference.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr double kHighestRate = 1000;  // pictures per second

}  // namespace

std::vector<std::string> VideoOptions::merge(const Json& json, std::string_view origin, bool file) {
  const JsonView view(json, std::string(origin));
  std::vector<std::string> others = PixelOptions::merge(json, origin);
  const auto number = [&](const char* key, std::optional<double>& value) {
    if (!json.contains(key)) return;
    value = view.has(key) ? std::optional(view.number(key, 0)) : std::nullopt;  // null takes a setting back
  };
  number("fps", fps);
  number("start_time", start_time);
  number("end_time", end_time);
  number("pictures_rate", pictures_rate);
  require(!pictures_rate || (*pictures_rate > 0 && *pictures_rate <= kHighestRate),
          ErrorCode::kInvalidArgument, "[{}] pictures_rate is {}; it should be above 0 and at most {}",
          origin, pictures_rate.value_or(0), kHighestRate);
  if (view.has("rotate")) {
    const std::string named = view.string("rotate", "");
    require(named == "auto" || named == "off", ErrorCode::kInvalidArgument,
            "[{}] rotate is \"{}\"; it should be \"auto\" or \"off\"", origin, named);
    rotate = named == "auto";
  }
  if (view.has("num_frames")) num_frames = view.integer("num_frames", 0, 1, 1 << 24);
  min_frames = view.integer("min_frames", min_frames, 0, 1 << 24);
  max_frames = view.integer("max_frames", max_frames, 1, 1 << 24);
  do_sample_frames = view.boolean("do_sample_frames", do_sample_frames);
  use_token_compression = view.boolean("use_token_compression", use_token_compression);
  skip_broken_frames = view.boolean("skip_broken_frames", skip_broken_frames);
  if (view.has("times")) {
    const std::string named = view.string("times", "");
    require(named == "timestamps" || named == "frames", ErrorCode::kInvalidArgument,
            "[{}] times is \"{}\"; it should be \"timestamps\" or \"frames\"", origin, named);
    times = named == "frames" ? ClipTimes::kFrames : ClipTimes::kTimestamps;
  }
  if (!file && (view.has("fps") || view.has("num_frames")) && !view.has("do_sample_frames"))
    do_sample_frames = true;
  if (!file && view.has("num_frames") && !view.has("fps")) fps.reset();
  if (!file && view.has("fps") && !view.has("num_frames")) num_frames.reset();
  constexpr std::string_view kKnown[] = {"fps",
                                         "start_time",
                                         "end_time",
                                         "rotate",
                                         "pictures_rate",
                                         "times",
                                         "skip_broken_frames",
                                         "num_frames",
                                         "min_frames",
                                         "max_frames",
                                         "do_sample_frames",
                                         "use_token_compression",
                                         "return_metadata"};
  std::erase_if(others, [&](const std::string& key) { return is_one_of(key, kKnown); });
  return others;
}

SampledFrames sample_frames(const VideoInfo& info, const VideoOptions& options) {
  FrameSampling sampling;
  if (options.do_sample_frames) {
    sampling.fps = options.fps;
    sampling.num_frames = options.num_frames;
  }
  sampling.min_frames = options.min_frames;
  sampling.max_frames = options.max_frames;
  sampling.temporal_patch_size = options.temporal_patch_size;
  sampling.start_time = options.start_time;
  sampling.end_time = options.end_time;
  sampling.times = options.times;
  return sample_frames(info, sampling);
}

std::vector<uint8_t> compression_mask(const Tensor& patches, int64_t t, int64_t h, int64_t w, int64_t merge,
                                      double threshold, int64_t min_tokens) {
  const int64_t tokens = (h / merge) * (w / merge), frame = h * w;
  std::vector<uint8_t> mask(static_cast<size_t>(tokens), 1);
  ThreadPool alone(1);
  for (int64_t i = 1; i < t; ++i) {
    const std::vector<uint8_t> kept =
        kept_tokens(alone, patches.rows((i - 1) * frame, i * frame), patches.rows(i * frame, (i + 1) * frame),
                    tokens, threshold, min_tokens);
    mask.insert(mask.end(), kept.begin(), kept.end());
  }
  return mask;
}

VideoProcessor VideoProcessor::from_pretrained(const std::filesystem::path& folder) {
  return VideoProcessor(read_video_options(model_folder(folder)));
}

int64_t VideoProcessor::get_num_of_video_patches(const VideoOptions& options, int64_t num_frames,
                                                 int64_t height, int64_t width) {
  require(num_frames > 0, ErrorCode::kInvalidArgument, "[video_processor] {} frames", num_frames);
  const Size size = options.do_resize ? smart_resize(height, width, options.patch_size * options.merge_size,
                                                     options.shortest_edge, options.longest_edge / num_frames)
                                      : Size{height, width};
  const int64_t depth = options.temporal_patch_size;
  return (num_frames + depth - 1) / depth * (size.height / options.patch_size) *
         (size.width / options.patch_size);
}

int64_t VideoProcessor::get_num_of_video_patches(int64_t num_frames, int64_t height, int64_t width) const {
  return get_num_of_video_patches(options_, num_frames, height, width);
}

VideoFeatures VideoProcessor::preprocess(ThreadPool& threads, std::span<const ClipInput> clips,
                                         const ProcessHooks& hooks) const {
  require(!clips.empty(), ErrorCode::kInvalidArgument, "[video_processor] no clips");
  std::vector<Tensor> parts;
  std::vector<int64_t> grids, merges;
  std::vector<uint8_t> mask;
  VideoFeatures features;
  int64_t patches = 0;
  for (const ClipInput& clip : clips) {
    Tensor part;
    ClipPatches got = process_clip(threads, clip, std::numeric_limits<int64_t>::max(), hooks,
                                   [&part](ClipGroup group) { part = std::move(group.patches); });
    mask.insert(mask.end(), got.keep.begin(), got.keep.end());
    grids.insert(grids.end(), {got.t, got.h, got.w});
    merges.push_back(clip.options.merge_size);
    require(parts.empty() || parts[0].dim(1) == part.dim(1), ErrorCode::kInvalidArgument,
            "[video_processor] clips with different patch sizes");
    patches += part.dim(0);
    parts.push_back(std::move(part));
    features.clips.push_back(std::move(got.report));
  }
  const int64_t count = static_cast<int64_t>(clips.size());
  features.pixel_values_videos = parts[0];
  if (count > 1) {
    features.pixel_values_videos = Tensor::empty({patches, parts[0].dim(1)}, DType::kF32);
    float* target = features.pixel_values_videos.mutable_data<float>();
    for (const Tensor& part : parts) target = std::copy_n(part.data<float>(), part.numel(), target);
  }
  features.video_grid_thw = Tensor::from<int64_t>({count, 3}, grids);
  features.video_merge_sizes = Tensor::from<int64_t>({count}, merges);
  features.video_compression_mask = Tensor::from<uint8_t>({static_cast<int64_t>(mask.size())}, mask);
  return features;
}

}  // namespace vl3
