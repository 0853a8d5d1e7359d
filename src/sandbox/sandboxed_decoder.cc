#include "sandbox/sandboxed_decoder.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "sandbox/lease.h"
#include "sandbox/sandboxed_clip.h"

namespace vl3::sandbox {
namespace {

// A grey pixel as a PGM: every build reads it.
constexpr char kPixel[] = "P5 1 1 255 x";

Job job_of(const DecoderPool& pool, Task task, const std::vector<MediaSource>& sources,
           const MediaLimits& limits) {
  Job job;
  job.task = task;
  job.limits = limits;
  job.confinement = {pool.options().memory_bytes, pool.options().cpu_s};
  job.sources = sources;
  return job;
}

// A picture as it comes: the decoder is told where its rows go, and says how many are there.
class ComingPicture {
 public:
  ComingPicture(Lease& lease, const MediaLimits& limits, const std::string& name, Image* image,
                const RowsReady& ready)
      : lease_(lease), limits_(limits), name_(name), image_(image), ready_(ready) {}

  void run() {
    for (;;) {
      const Message message = lease_.next();
      if (message.kind == MessageKind::kNeedRoom) {
        make_room(message);
      } else if (message.kind == MessageKind::kRows) {
        const auto rows = lease_.parse(message, [](Reader& reader) { return reader.get<int64_t>(); });
        if (rows <= taken_ || rows > image_->height || room_.data() == nullptr) lease_.broke_rules();
        take(rows);
        if (ready_) ready_(rows);
      } else if (message.kind == MessageKind::kDone) {
        if (room_.data() == nullptr) lease_.broke_rules();
        image_->mode = lease_.parse(message, [](Reader& reader) {
          reader.get<int64_t>();
          reader.get<int64_t>();
          return shown_text(reader.get_text(64));
        });
        return take(image_->height);
      } else {
        lease_.broke_rules();
      }
    }
  }

 private:
  void make_room(const Message& message) {
    if (room_.data() != nullptr) lease_.broke_rules();
    const auto [height, width] = lease_.parse(message, [](Reader& reader) {
      const auto h = reader.get<int64_t>();
      return std::pair(h, reader.get<int64_t>());
    });
    if (height <= 0 || width <= 0) lease_.broke_rules();
    require(height <= limits_.max_pixels / width, ErrorCode::kLimitExceeded,
            "[{}] {} x {} pixels are above max_pixels, {}", name_, width, height, limits_.max_pixels);
    const auto bytes = static_cast<size_t>(height * width * 3);
    room_ = Room::make(bytes);
    const int fd = room_.fd();
    lease_.send(MessageKind::kRoom, "", std::span(&fd, 1));
    room_.close_fd();
    image_->height = height;
    image_->width = width;
    image_->rgb.resize(bytes);
  }

  // Copied once: what the decoder writes there later is nobody's.
  void take(int64_t rows) {
    const auto row_bytes = static_cast<size_t>(image_->width) * 3;
    const size_t from = static_cast<size_t>(taken_) * row_bytes, to = static_cast<size_t>(rows) * row_bytes;
    if (to > from) std::memcpy(image_->rgb.data() + from, room_.data() + from, to - from);
    taken_ = rows;
  }

  Lease& lease_;
  const MediaLimits& limits_;
  const std::string& name_;
  Image* const image_;
  const RowsReady& ready_;
  Room room_;
  int64_t taken_ = 0;  // rows
};

}  // namespace

SandboxedDecoder::SandboxedDecoder(SandboxOptions options)
    : pool_(std::make_shared<DecoderPool>(std::move(options))) {}
SandboxedDecoder::~SandboxedDecoder() = default;

ImageInfo SandboxedDecoder::probe_picture(const MediaSource& source, const MediaLimits& limits) {
  Lease lease(pool_, job_of(*pool_, Task::kProbe, {source}, limits));
  const Message message = lease.next();
  if (message.kind != MessageKind::kInfo) lease.broke_rules();
  return lease.parse(message, [&](Reader& reader) { return get_image_info(reader, limits); });
}

void SandboxedDecoder::decode_picture(const MediaSource& source, const MediaLimits& limits, Image* image,
                                      const RowsReady& ready) {
  Lease lease(pool_, job_of(*pool_, Task::kPicture, {source}, limits));
  ComingPicture(lease, limits, source.name(), image, ready).run();
}

std::unique_ptr<VideoReader> SandboxedDecoder::open_clip(const std::vector<MediaSource>& sources,
                                                         const MediaLimits& limits, bool upright,
                                                         std::optional<double> pictures_rate) {
  Job job = job_of(*pool_, Task::kClip, sources, limits);
  job.upright = upright;
  job.pictures_rate = pictures_rate;
  return std::make_unique<SandboxedClip>(pool_, std::move(job));
}

void SandboxedDecoder::check() {
  Image image;
  decode_picture(MediaSource::bytes(kPixel, "sandbox"), {}, &image, nullptr);
  require(image.rgb == std::vector<uint8_t>(3, 'x'), ErrorCode::kInternal,
          "[sandbox] a grey pixel came out another");
}

SandboxStats SandboxedDecoder::stats() const { return pool_->stats(); }

}  // namespace vl3::sandbox
