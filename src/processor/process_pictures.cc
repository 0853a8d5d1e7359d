#include "processor/process_pictures.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "media/source_bytes.h"
#include "processor/patches.h"
#include "vl3/media_decoder.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

// No further picture is begun where they would have more pixels in all: 96 MiB of them.
constexpr int64_t kPixelsAtOnce = int64_t{1} << 25;

// A picture on its way.
struct Picture {
  const PictureInput& input;
  Size resized;
  int64_t first_patch;
  Image room = {};
  std::optional<PatchWriter> writer = {};
  int64_t rows = 0;  // that are there, from the top
  bool decoded = false;
  int64_t next_band = 0, bands_written = 0;

  int64_t pixels() const { return input.size.height * input.size.width; }
  const Image& picture() const { return input.picture != nullptr ? *input.picture : room; }
  bool band_ready() const { return next_band < writer->bands() && writer->rows_needed(next_band) <= rows; }
};

// What there is to do, in the order of preference: the next band of a picture, the next picture.
class Work {
 public:
  // patches [.., words]: of all pictures, one after the other.
  Work(std::vector<Picture>& pictures, const PixelOptions& options, ResizeBackend backend, float* patches,
       const std::function<bool()>& cancelled)
      : pictures_(pictures), options_(options), backend_(backend), patches_(patches), cancelled_(cancelled) {}

  // A thread's share: returns when nothing is left to begin. Throws what a picture throws, after which the
  // other threads return as well.
  void take_part() {
    Resizer::Scratch scratch;
    std::unique_lock lock(mutex_);
    try {
      while (!failed_ && !(begun_ == pictures_.size() && active_.empty())) {
        if (Picture* picture = picture_with_band()) {
          write_band(*picture, scratch, lock);
        } else if (may_begin()) {
          decode(pictures_[begun_++], lock);
        } else {
          changed_.wait(lock);
        }
      }
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      failed_ = true;
      changed_.notify_all();
      throw;
    }
  }

 private:
  Picture* picture_with_band() const {
    const auto found =
        std::find_if(active_.begin(), active_.end(), [](Picture* p) { return p->band_ready(); });
    return found == active_.end() ? nullptr : *found;
  }

  bool may_begin() const {
    if (begun_ == pictures_.size()) return false;
    int64_t pixels = pictures_[begun_].pixels();
    for (const Picture* picture : active_) pixels += picture->pixels();
    return active_.empty() || pixels <= kPixelsAtOnce;
  }

  void decode(Picture& picture, std::unique_lock<std::mutex>& lock) {
    const PictureInput& input = picture.input;
    picture.writer.emplace(input.size, picture.resized, options_, backend_);
    active_.push_back(&picture);
    lock.unlock();
    require(!cancelled_ || !cancelled_(), ErrorCode::kCancelled, "[processor] cancelled before {}",
            input.name);
    const auto rows_ready = [&](int64_t rows) {
      require_size(picture);
      std::lock_guard guard(mutex_);
      picture.rows = rows;
      if (picture.band_ready()) changed_.notify_all();
    };
    if (input.picture == nullptr) input.decode(&picture.room, rows_ready);
    require_size(picture);
    lock.lock();
    picture.rows = input.size.height;
    picture.decoded = true;
    finish(picture);
    changed_.notify_all();
  }

  // What the patches were made for, before any of it is looked at.
  static void require_size(const Picture& picture) {
    const Image& image = picture.picture();
    const Size before = picture.input.size;
    require(Size{image.height, image.width} == before, ErrorCode::kFormat,
            "[{}] changed while it was read: {} x {} pixels, {} x {} before", picture.input.name, image.width,
            image.height, before.width, before.height);
  }

  void write_band(Picture& picture, Resizer::Scratch& scratch, std::unique_lock<std::mutex>& lock) {
    const int64_t band = picture.next_band++;
    lock.unlock();
    const PatchWriter& writer = *picture.writer;
    writer.write_band(picture.picture().pixels().data(), band, 0, options_.temporal_patch_size,
                      patches_ + picture.first_patch * writer.words(), scratch);
    lock.lock();
    ++picture.bands_written;
    finish(picture);
  }

  void finish(Picture& picture) {
    if (!picture.decoded || picture.bands_written < picture.writer->bands()) return;
    picture.writer.reset();
    picture.room = {};
    std::erase(active_, &picture);
    changed_.notify_all();
  }

  std::vector<Picture>& pictures_;
  const PixelOptions& options_;
  const ResizeBackend backend_;
  float* const patches_;
  const std::function<bool()>& cancelled_;
  std::mutex mutex_;  // of everything below, and of what changes in pictures
  std::condition_variable changed_;
  std::vector<Picture*> active_;  // begun and not finished
  size_t begun_ = 0;
  bool failed_ = false;
};

// The file is the same one, and its header says another size than its pixels have: some HEIC files are so.
// Sizes of patches and places in the prompt were counted from the header. Where the header has changed as
// well, the file has: require_size says so.
void require_as_header_says(const Image& image, Size planned, std::span<const std::byte> bytes,
                            const MediaLimits& limits, const std::string& name) {
  if (Size{image.height, image.width} == planned) return;
  const ImageInfo info = probe_image(bytes, limits, name);
  require(Size{info.height, info.width} != planned, ErrorCode::kFormat,
          "[{}] its header says {} x {} pixels and its picture has {} x {}; write the file anew", name,
          planned.width, planned.height, image.width, image.height);
}

}  // namespace

PictureInput picture_input(const Image& picture) { return {"picture", size_of(picture), &picture}; }

PictureInput picture_input(const OpenPicture& picture, const MediaLimits& limits) {
  const MediaSource source = picture.source;
  const Size size{picture.height, picture.width};
  if (source.kind() == MediaSource::Kind::kFrames)
    return {source.name(), size, &source.pictures()[0], [source](Image*, const RowsReady&) {}};
  if (source.decoder())
    return {source.name(), size, nullptr, [source, limits](Image* image, const RowsReady& ready) {
              source.decoder()->decode_picture(source, limits, image, ready);
            }};
  return {source.name(), size, nullptr,
          [source, limits, size, held = picture.bytes](Image* image, const RowsReady& ready) {
            const SourceBytes read =
                held ? SourceBytes{source, held, std::as_bytes(std::span(*held))} : bytes_of(source, limits);
            const auto require_size = [&] {
              require_as_header_says(*image, size, read.bytes, limits, source.name());
            };
            decode_image(read.bytes, limits, source.name(), true, image, [&](int64_t rows) {
              require_size();
              ready(rows);
            });
            require_size();
          }};
}

ImageFeatures process_pictures(ThreadPool& threads, const PixelOptions& options, ResizeBackend backend,
                               const std::vector<PictureInput>& inputs,
                               const std::function<bool()>& cancelled) {
  require(!inputs.empty(), ErrorCode::kInvalidArgument, "[image_processor] no pictures");
  require_filter(options.resample, backend, "image_processor");
  const int64_t p = options.patch_size, words = 3 * options.temporal_patch_size * p * p;
  std::vector<Picture> pictures;
  std::vector<int64_t> grids;
  int64_t patches = 0;
  for (const PictureInput& input : inputs) {
    PixelOptions alone = options;
    if (input.shortest_edge > 0) alone.shortest_edge = input.shortest_edge;
    if (input.longest_edge > 0) alone.longest_edge = input.longest_edge;
    const Size size = size_for_patches(input.size, alone, alone.longest_edge);
    pictures.push_back({input, size, patches});
    grids.insert(grids.end(), {1, size.height / p, size.width / p});
    patches += (size.height / p) * (size.width / p);
  }
  const int64_t count = static_cast<int64_t>(inputs.size());
  ImageFeatures features{
      Tensor::empty({patches, words}, DType::kF32), Tensor::from<int64_t>({count, 3}, grids),
      Tensor::from<int64_t>({count}, std::vector<int64_t>(inputs.size(), options.merge_size))};
  Work work(pictures, options, backend, features.pixel_values.mutable_data<float>(), cancelled);
  threads.parallel_for(threads.size(), 1, [&](int64_t, int64_t, int) { work.take_part(); });
  return features;
}

}  // namespace vl3
