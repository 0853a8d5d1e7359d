#include "vl3/video_processor.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/json.h"
#include "base/model_folder.h"
#include "base/thread_pool.h"
#include "processor/config_files.h"
#include "processor/open_clip.h"
#include "processor/patches.h"
#include "processor/pixel_difference.h"

namespace vl3 {
namespace {

constexpr double kHighestRate = 1000;  // pictures per second

// One clip on its way: frames in, patches out.
struct ClipWork {
  ThreadPool& threads;
  const ClipInput& clip;
  ClipReport report;
  int64_t grid_t = 0, max_pixels = 0;
  std::vector<Resizer::Scratch> scratch = {};  // of each thread
  Size frame_size = {};                        // as decoded
  std::optional<PatchWriter> writer = {};      // made when that is known
  Tensor patches = {};                         // [t·h·w, words]
  int64_t frames = 0;                          // so far

  int64_t frames_wanted() const { return static_cast<int64_t>(report.frames.indices.size()); }

  void add(const Image& frame) {
    const Size size = size_of(frame);
    const PixelOptions& options = clip.options;
    if (!writer) {
      writer.emplace(size, size_for_patches(size, options, max_pixels), options, ResizeBackend::kTorchvision);
      patches = Tensor::empty({grid_t * writer->patches(), writer->words()}, DType::kF32);
      scratch.resize(static_cast<size_t>(threads.size()));
      frame_size = size;
    }
    require(size == frame_size, ErrorCode::kInvalidArgument,
            "[{}] the frames of a clip should be of one size; one is {} x {} after others of {} x {}",
            clip.name, frame.width, frame.height, frame_size.width, frame_size.height);
    require(frames < frames_wanted(), ErrorCode::kInternal, "[{}] more frames came than were asked for",
            clip.name);
    const int64_t depth = options.temporal_patch_size, patch = frames / depth, first = frames % depth;
    ++frames;
    // A last temporal patch that is not full repeats its last frame.
    const int64_t last = frames == frames_wanted() ? depth : first + 1;
    float* target = patches.mutable_data<float>() + patch * writer->patches() * writer->words();
    threads.parallel_for(writer->bands(), 1, [&](int64_t band, int64_t, int thread) {
      writer->write_band(frame.rgb.data(), band, first, last, target, scratch[static_cast<size_t>(thread)]);
    });
  }
};

// The frames that the clip's info and options pick. Throws ClipEnded where the info was wrong.
ClipWork look_once(ThreadPool& threads, const ClipInput& clip, const ProcessHooks& hooks) {
  const VideoOptions& options = clip.options;
  ClipWork work{threads,
                clip,
                {clip.name, clip.reader->info(), sample_frames(clip.reader->info(), options), {}, 0, {}}};
  const int64_t count = work.frames_wanted(), depth = options.temporal_patch_size;
  require_filter(options.resample, ResizeBackend::kTorchvision, clip.name);
  work.grid_t = (count + depth - 1) / depth;
  work.max_pixels = options.longest_edge / count;
  require(!options.do_resize || work.max_pixels > 0, ErrorCode::kInvalidArgument,
          "[{}] longest_edge, {} pixels, leaves none for each of {} frames", clip.name, options.longest_edge,
          count);
  clip.reader->read(
      work.report.frames.indices,
      [&](size_t i, const Image& frame) {
        work.add(frame);
        if (hooks.decoded) hooks.decoded(static_cast<int64_t>(i) + 1, count);
      },
      hooks.cancelled);
  require(work.frames == count, ErrorCode::kFormat, "[{}] ended after {} of {} frames", clip.name,
          work.frames, count);
  return work;
}

// As look_once; where the clip turns out shorter than it said, its frames are picked anew and the report says
// so.
ClipWork look_at(ThreadPool& threads, const ClipInput& clip, const ProcessHooks& hooks) {
  std::vector<std::string> notes;
  clip.reader->skip_broken_frames(clip.options.skip_broken_frames);
  for (;;) {
    const int64_t expected = clip.reader->info().total_frames;
    try {
      ClipWork work = look_once(threads, clip, hooks);
      for (std::string& note : clip_notes(clip.name, *clip.reader, clip.options))
        notes.push_back(std::move(note));
      work.report.notes = std::move(notes);
      return work;
    } catch (const ClipEnded& ended) {
      if (clip.reader->info().total_frames >= expected) throw;
      notes.push_back(fmt::format("{}: frames are picked from those that there are", ended.what()));
    }
  }
}

// The kept tokens of each sampled frame, as the prompt counts them.
std::vector<int64_t> kept_per_frame(const std::vector<uint8_t>& mask, size_t frames) {
  require(
      mask.size() % frames == 0, ErrorCode::kUnsupported,
      "[video_processor] {} visual tokens do not divide among the {} frames that the prompt names: with a "
      "temporal_patch_size above 1, take a multiple of it",
      mask.size(), frames);
  const size_t chunk = mask.size() / frames;
  std::vector<int64_t> kept;
  for (size_t i = 0; i < frames; ++i) {
    kept.push_back(std::count(mask.begin() + static_cast<ptrdiff_t>(i * chunk),
                              mask.begin() + static_cast<ptrdiff_t>((i + 1) * chunk), uint8_t{1}));
  }
  return kept;
}

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
  std::erase_if(others, [&](const std::string& key) {
    return std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown);
  });
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
  const int64_t tokens = (h / merge) * (w / merge), words = merge * merge * patches.dim(1);
  std::vector<uint8_t> mask(static_cast<size_t>(t * tokens), 1);
  const float* values = patches.data<float>();
  for (int64_t frame = 1; frame < t; ++frame) {
    int64_t kept = 0;
    for (int64_t token = 0; token < tokens; ++token) {
      const float* now = values + (frame * tokens + token) * words;
      const float* before = now - tokens * words;
      const float difference = mean_absolute_difference(now, before, words) * 255.0f;
      const bool keep = difference > static_cast<float>(threshold);
      mask[static_cast<size_t>(frame * tokens + token)] = keep ? 1 : 0;
      kept += keep;
    }
    if (kept < min_tokens)
      std::fill_n(mask.begin() + frame * tokens, std::min(min_tokens, tokens), uint8_t{1});
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
    const VideoOptions& options = clip.options;
    ClipWork work = look_at(threads, clip, hooks);
    const int64_t count = work.frames_wanted();
    const int64_t h = work.writer->grid_height(), w = work.writer->grid_width();
    const int64_t tokens = (h / options.merge_size) * (w / options.merge_size);
    const std::vector<uint8_t> keep =
        options.use_token_compression ? compression_mask(work.patches, work.grid_t, h, w, options.merge_size)
                                      : std::vector<uint8_t>(static_cast<size_t>(work.grid_t * tokens), 1);
    work.report.kept = kept_per_frame(keep, static_cast<size_t>(count));
    work.report.tokens_per_frame = tokens;
    mask.insert(mask.end(), keep.begin(), keep.end());
    grids.insert(grids.end(), {work.grid_t, h, w});
    merges.push_back(options.merge_size);
    require(parts.empty() || parts[0].dim(1) == work.patches.dim(1), ErrorCode::kInvalidArgument,
            "[video_processor] clips with different patch sizes");
    patches += work.patches.dim(0);
    parts.push_back(std::move(work.patches));
    features.clips.push_back(std::move(work.report));
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
