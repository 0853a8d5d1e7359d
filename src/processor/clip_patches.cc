#include "processor/clip_patches.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "processor/open_clip.h"
#include "processor/patches.h"
#include "processor/pixel_difference.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

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

// The clip on its way. Of frames that were given away the last one stays, for the difference to the next.
class ClipWork {
 public:
  ClipWork(ThreadPool& threads, const ClipInput& clip, int64_t group_patches,
           const std::function<void(ClipGroup)>& ready)
      : threads_(threads), clip_(clip), group_patches_(group_patches), ready_(ready) {
    const VideoOptions& options = clip.options;
    result_.report = {clip.name, clip.reader->info(), sample_frames(clip.reader->info(), options), {}, 0, {}};
    const int64_t count = frames_wanted();
    require_filter(options.resample, ResizeBackend::kTorchvision, clip.name);
    result_.t = (count + options.temporal_patch_size - 1) / options.temporal_patch_size;
    max_pixels_ = options.longest_edge / count;
    require(!options.do_resize || max_pixels_ > 0, ErrorCode::kInvalidArgument,
            "[{}] longest_edge, {} pixels, leaves none for each of {} frames", clip.name,
            options.longest_edge, count);
  }

  int64_t frames_wanted() const { return static_cast<int64_t>(result_.report.frames.indices.size()); }
  const std::vector<int64_t>& indices() const { return result_.report.frames.indices; }

  void add(const Image& frame) {
    const Size size = size_of(frame);
    if (!writer_) begin(size);
    require(size == frame_size_, ErrorCode::kInvalidArgument,
            "[{}] the frames of a clip should be of one size; one is {} x {} after others of {} x {}",
            clip_.name, frame.width, frame.height, frame_size_.width, frame_size_.height);
    require(frames_ < frames_wanted(), ErrorCode::kInternal, "[{}] more frames came than were asked for",
            clip_.name);
    const int64_t depth = clip_.options.temporal_patch_size, first = frames_ % depth;
    if (!group_.patches.defined()) begin_group(frames_ / depth);
    ++frames_;
    // A last temporal patch that is not full repeats its last frame.
    const int64_t last = frames_ == frames_wanted() ? depth : first + 1;
    float* target = group_.patches.mutable_data<float>() + group_.t * writer_->patches() * writer_->words();
    threads_.parallel_for(writer_->bands(), 1, [&](int64_t band, int64_t, int thread) {
      writer_->write_band(frame.pixels().data(), band, first, last, target,
                          scratch_[static_cast<size_t>(thread)]);
    });
    if (last == depth) end_temporal_patch();
  }

  ClipPatches finish() {
    require(frames_ == frames_wanted(), ErrorCode::kFormat, "[{}] ended after {} of {} frames", clip_.name,
            frames_, frames_wanted());
    result_.h = writer_->grid_height();
    result_.w = writer_->grid_width();
    result_.report.kept = kept_per_frame(result_.keep, static_cast<size_t>(frames_));
    result_.report.tokens_per_frame = tokens();
    return std::move(result_);
  }

 private:
  void begin(Size size) {
    const PixelOptions& options = clip_.options;
    writer_.emplace(size, size_for_patches(size, options, max_pixels_), options, ResizeBackend::kTorchvision);
    scratch_.resize(static_cast<size_t>(threads_.size()));
    frame_size_ = size;
  }

  int64_t tokens() const {
    const int64_t merge = clip_.options.merge_size;
    return (writer_->grid_height() / merge) * (writer_->grid_width() / merge);
  }

  void begin_group(int64_t first) {
    const int64_t fit = std::max<int64_t>(1, group_patches_ / writer_->patches());
    const int64_t frames = std::min(fit, result_.t - first);
    group_ = {first,
              0,
              writer_->grid_height(),
              writer_->grid_width(),
              Tensor::empty({frames * writer_->patches(), writer_->words()}, DType::kF32),
              {}};
  }

  void end_temporal_patch() {
    const int64_t patches = writer_->patches(), begin = group_.t * patches;
    const Tensor now = group_.patches.rows(begin, begin + patches);
    const bool compress = clip_.options.use_token_compression && before_.defined();
    const std::vector<uint8_t> keep = compress ? kept_tokens(threads_, before_, now, tokens())
                                               : std::vector<uint8_t>(static_cast<size_t>(tokens()), 1);
    group_.keep.insert(group_.keep.end(), keep.begin(), keep.end());
    before_ = now;
    ++group_.t;
    if (begin + patches < group_.patches.dim(0)) return;
    result_.keep.insert(result_.keep.end(), group_.keep.begin(), group_.keep.end());
    ready_(std::move(group_));
    group_ = {};
  }

  ThreadPool& threads_;
  const ClipInput& clip_;
  const int64_t group_patches_;
  const std::function<void(ClipGroup)>& ready_;
  ClipPatches result_;
  int64_t max_pixels_ = 0;
  std::vector<Resizer::Scratch> scratch_;  // of each thread
  Size frame_size_;                        // as decoded
  std::optional<PatchWriter> writer_;      // made when that is known
  ClipGroup group_;                        // without patches: the next frame begins one
  Tensor before_;                          // [patches of a frame, words]: the frame before
  int64_t frames_ = 0;                     // so far
};

// The frames that the clip's info and options pick. Throws ClipEnded where the info was wrong.
ClipPatches look_once(ThreadPool& threads, const ClipInput& clip, int64_t group_patches,
                      const ProcessHooks& hooks, const std::function<void(ClipGroup)>& ready) {
  ClipWork work(threads, clip, group_patches, ready);
  clip.reader->read(
      work.indices(),
      [&](size_t i, const Image& frame) {
        work.add(frame);
        if (hooks.decoded) hooks.decoded(static_cast<int64_t>(i) + 1, work.frames_wanted());
      },
      hooks.cancelled);
  return work.finish();
}

}  // namespace

ClipPatches process_clip(ThreadPool& threads, const ClipInput& clip, int64_t group_patches,
                         const ProcessHooks& hooks, const std::function<void(ClipGroup)>& ready) {
  std::vector<std::string> notes;
  clip.reader->skip_broken_frames(clip.options.skip_broken_frames);
  for (;;) {
    const int64_t expected = clip.reader->info().total_frames;
    try {
      ClipPatches patches = look_once(threads, clip, group_patches, hooks, ready);
      for (std::string& note : clip_notes(clip.name, *clip.reader, clip.options))
        notes.push_back(std::move(note));
      patches.report.notes = std::move(notes);
      return patches;
    } catch (const ClipEnded& ended) {
      if (clip.reader->info().total_frames >= expected) throw;
      notes.push_back(fmt::format("{}: frames are picked from those that there are", ended.what()));
    }
  }
}

}  // namespace vl3
