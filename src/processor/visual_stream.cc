#include "vl3/visual_stream.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "processor/clip_patches.h"
#include "processor/content_key.h"
#include "processor/file_stamp.h"
#include "processor/item_sizes.h"
#include "processor/process_pictures.h"
#include "processor/read_request.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

// The reader's words of a clip that was kept under another name.
void rename(ClipReport& report, const std::string& name) {
  const std::string before = "[" + report.name + "]";
  for (std::string& note : report.notes) {
    if (note.starts_with(before)) note.replace(0, before.size(), "[" + name + "]");
  }
  report.name = name;
}

}  // namespace

class VisualStream::Work {
 public:
  Work(const Processor& processor, ProcessorRequest request, const MediaLimits& limits,
       const ProcessHooks& hooks, int threads, int64_t group_patches)
      : processor_(processor),
        request_(std::move(request)),
        limits_(limits),
        hooks_(hooks),
        threads_(threads),
        group_patches_(group_patches > 0 ? group_patches : kGroupPatches) {
    OpenMedia own;
    OpenMedia& opened = hooks.opened != nullptr ? *hooks.opened : own;
    hooks_.opened = nullptr;
    require(!request_.conversations.empty(), ErrorCode::kInvalidArgument, "[processor] no conversations");
    read_ = processor.read(request_, limits_, opened);
    for (const MediaItem& item : read_.pictures.items) {
      pictures_.push_back(opened.picture(item.sources[0], limits_));
      const OpenPicture& picture = pictures_.back();
      items_.push_back(
          {false, item.name(), picture_patches(item, {picture.height, picture.width}, request_.backend)});
    }
    for (const MediaItem& item : read_.clips.items) {
      clips_.push_back(opened.take(item.sources, limits_, item.options));
      const VideoInfo& info = clips_.back().reader->info();
      items_.push_back({true, item.name(), clip_patches(item, info, frames_of(item, info))});
    }
    facts_.resize(items_.size());
  }

  ~Work() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  const std::vector<Item>& items() const { return items_; }

  std::string content_key(size_t item) {
    require(!begun_, ErrorCode::kInternal, "[stream] a key is asked for while media are decoded");
    try {
      const bool video = items_.at(item).video;
      const MediaItem& media = item_of(item);
      const std::string key =
          vl3::content_key(media, video ? nullptr : pictures_[item].bytes, request_.backend, limits_);
      return unchanged(item) ? key : std::string();
    } catch (const Error& error) {  // decoding says it again
      if (error.code() != ErrorCode::kIo && error.code() != ErrorCode::kNotFound) throw;
      return {};
    }
  }

  bool unchanged(size_t item) const {
    if (!items_.at(item).video) {
      // What is held is what the key was made of.
      const OpenPicture& picture = pictures_[item];
      return picture.bytes != nullptr || stamps_of({picture.source}) == picture.stamps;
    }
    const OpenClip& clip = clips_[item - pictures_.size()];
    return stamps_of(clip.sources) == clip.stamps;
  }

  void set_known(size_t item, VisualFacts facts) {
    require(!begun_, ErrorCode::kInternal, "[stream] an item is known after media were decoded");
    if (items_.at(item).video) rename(facts.clip, items_[item].name);
    facts_[item] = std::move(facts);
  }

  std::optional<VisualGroup> next() {
    begin();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !groups_.empty() || ended_; });
    if (groups_.empty()) {
      if (error_) std::rethrow_exception(error_);
      return std::nullopt;
    }
    Ready ready = std::move(groups_.front());
    groups_.pop_front();
    lock.unlock();
    changed_.notify_all();
    if (hooks_.decoded && ready.frames > 0) hooks_.decoded(ready.frames_done, ready.frames);
    return std::move(ready.group);
  }

  bool ready() {
    begin();
    const std::lock_guard lock(mutex_);
    return !groups_.empty() || ended_;
  }

  const VisualFacts& facts(size_t item) const {
    const std::lock_guard lock(mutex_);
    require(facts_.at(item).has_value(), ErrorCode::kInternal, "[stream] item {} is not there yet", item);
    return *facts_[item];
  }

  Prompts finish() {
    Prompts prompts{{}, read_.pictures.shown, read_.clips.shown};
    for (size_t& item : prompts.clips) item += pictures_.size();
    ProcessorOutput& out = prompts.output;
    std::vector<int64_t> picture_tokens;
    set_grids(prompts.pictures, out.images.image_grid_thw, out.images.image_merge_sizes);
    for (const size_t item : prompts.pictures) {
      const VisualFacts& f = facts(item);
      picture_tokens.push_back(f.h * f.w / (f.merge * f.merge));
    }
    set_grids(prompts.clips, out.videos.video_grid_thw, out.videos.video_merge_sizes);
    std::vector<uint8_t> mask;
    for (const size_t item : prompts.clips) {
      const VisualFacts& f = facts(item);
      mask.insert(mask.end(), f.keep.begin(), f.keep.end());
      out.videos.clips.push_back(f.clip);
    }
    if (!prompts.clips.empty())
      out.videos.video_compression_mask = Tensor::from<uint8_t>({static_cast<int64_t>(mask.size())}, mask);
    processor_.write_prompts(request_, read_, picture_tokens, out);
    return prompts;
  }

 private:
  struct Ready {
    VisualGroup group;
    int64_t frames_done = 0, frames = 0;  // of a clip
  };

  const MediaItem& item_of(size_t item) const {
    return item < pictures_.size() ? read_.pictures.items[item] : read_.clips.items[item - pictures_.size()];
  }

  void set_grids(const std::vector<size_t>& shown, Tensor& grid_thw, Tensor& merge_sizes) const {
    if (shown.empty()) return;
    std::vector<int64_t> grids, merges;
    for (const size_t item : shown) {
      const VisualFacts& f = facts(item);
      grids.insert(grids.end(), {f.t, f.h, f.w});
      merges.push_back(f.merge);
    }
    const auto count = static_cast<int64_t>(shown.size());
    grid_thw = Tensor::from<int64_t>({count, 3}, grids);
    merge_sizes = Tensor::from<int64_t>({count}, merges);
  }

  void begin() {
    if (begun_) return;
    begun_ = true;
    for (const auto& known : facts_) {
      if (known) continue;
      thread_ = std::thread([this] { run(); });
      return;
    }
    ended_ = true;  // nothing is to be decoded
  }

  // --- on the stream's own thread

  void run() {
    std::exception_ptr error;
    try {
      ThreadPool threads(threads_);
      decode_pictures(threads);
      for (size_t i = 0; i < clips_.size(); ++i) {
        if (!known(pictures_.size() + i)) decode_clip(threads, pictures_.size() + i, clips_[i]);
      }
    } catch (...) {
      error = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      error_ = error;
      ended_ = true;
    }
    tell_change();
  }

  void tell_change() {
    changed_.notify_all();
    if (hooks_.available) hooks_.available();
  }

  bool known(size_t item) const {
    const std::lock_guard lock(mutex_);
    return facts_[item].has_value();
  }

  void set_facts(size_t item, VisualFacts facts) {
    const std::lock_guard lock(mutex_);
    facts_[item] = std::move(facts);
  }

  bool cancelled() const { return stopping_ || (hooks_.cancelled && hooks_.cancelled()); }

  void push(Ready ready) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return groups_.size() < kAhead || stopping_; });
    require(!stopping_, ErrorCode::kCancelled, "[stream] nobody wants what is decoded");
    groups_.push_back(std::move(ready));
    lock.unlock();
    tell_change();
  }

  void decode_pictures(ThreadPool& threads) {
    std::vector<size_t> wanted;
    for (size_t item = 0; item < pictures_.size(); ++item) {
      if (!known(item)) wanted.push_back(item);
    }
    for (size_t begin = 0; begin < wanted.size();) {
      std::vector<PictureInput> inputs;
      int64_t patches = 0;
      size_t end = begin;
      for (; end < wanted.size() && (end == begin || patches < kPicturePatches); ++end) {
        const PixelOptions& options = item_of(wanted[end]).options;
        inputs.push_back(picture_input(pictures_[wanted[end]], limits_));
        inputs.back().shortest_edge = options.shortest_edge;
        inputs.back().longest_edge = options.longest_edge;
        patches += items_[wanted[end]].patches;
      }
      const ImageFeatures features = process_pictures(threads, request_.images, request_.backend, inputs,
                                                      [this] { return cancelled(); });
      push_pictures(std::span(wanted).subspan(begin, end - begin), features);
      begin = end;
    }
  }

  void push_pictures(std::span<const size_t> items, const ImageFeatures& features) {
    int64_t row = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      const int64_t* grid = features.image_grid_thw.data<int64_t>() + 3 * i;
      const int64_t merge = features.image_merge_sizes.data<int64_t>()[i];
      const int64_t patches = grid[1] * grid[2];
      set_facts(items[i], {1, grid[1], grid[2], merge});
      push({{items[i], 0, 1, grid[1], grid[2], merge, features.pixel_values.rows(row, row + patches),
             std::vector<uint8_t>(static_cast<size_t>(patches / (merge * merge)), 1)}});
      row += patches;
    }
  }

  void decode_clip(ThreadPool& threads, size_t item, OpenClip& clip) {
    const VideoOptions& options = item_of(item).options;
    const ClipInput input{items_[item].name, clip.reader.get(), options};
    int64_t done = 0, frames = 0;
    ProcessHooks hooks;
    hooks.cancelled = [this] { return cancelled(); };
    // A frame is told of with the group that it comes in, on the thread that takes it.
    const int64_t depth = options.temporal_patch_size;
    ClipPatches patches = process_clip(threads, input, group_patches_, hooks, [&](ClipGroup group) {
      if (group.first == 0)
        frames = static_cast<int64_t>(sample_frames(clip.reader->info(), options).indices.size());
      done = std::min(frames, (group.first + group.t) * depth);
      push({{item, group.first, group.t, group.h, group.w, options.merge_size, std::move(group.patches),
             std::move(group.keep)},
            done,
            frames});
    });
    set_facts(item, {patches.t, patches.h, patches.w, options.merge_size, std::move(patches.keep),
                     std::move(patches.report)});
  }

  const Processor& processor_;
  const ProcessorRequest request_;
  const MediaLimits limits_;
  ProcessHooks hooks_;
  const int threads_;
  const int64_t group_patches_;
  ReadRequest read_;
  std::vector<Item> items_;
  std::vector<OpenPicture> pictures_;
  std::vector<OpenClip> clips_;
  bool begun_ = false;

  mutable std::mutex mutex_;  // of everything below
  std::condition_variable changed_;
  std::vector<std::optional<VisualFacts>> facts_;
  std::deque<Ready> groups_;
  std::exception_ptr error_;
  bool ended_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

VisualStream::VisualStream(std::unique_ptr<Work> work) : work_(std::move(work)) {}
VisualStream::~VisualStream() = default;

const std::vector<VisualStream::Item>& VisualStream::items() const { return work_->items(); }
std::string VisualStream::content_key(size_t item) { return work_->content_key(item); }
bool VisualStream::unchanged(size_t item) const { return work_->unchanged(item); }
void VisualStream::set_known(size_t item, VisualFacts facts) { work_->set_known(item, std::move(facts)); }
std::optional<VisualGroup> VisualStream::next() { return work_->next(); }
bool VisualStream::ready() { return work_->ready(); }
const VisualFacts& VisualStream::facts(size_t item) const { return work_->facts(item); }
VisualStream::Prompts VisualStream::finish() { return work_->finish(); }

std::unique_ptr<VisualStream> Processor::stream(ProcessorRequest request, const MediaLimits& limits,
                                                const ProcessHooks& hooks, int threads,
                                                int64_t group_patches) const {
  return std::unique_ptr<VisualStream>(new VisualStream(std::make_unique<VisualStream::Work>(
      *this, std::move(request), limits, hooks, threads, group_patches)));
}

}  // namespace vl3
