#include "media/demuxer.h"

extern "C" {
#include <libavutil/intreadwrite.h>
}

#include <algorithm>

#include "base/check.h"
#include "media/source_bytes.h"

namespace vl3 {
namespace {

constexpr int kStrangers = 64;  // packets behind a leap that the index does not know, before giving up
constexpr int kTries = 3;
// As ffmpeg's own: a clock that steps further was set, where the container allows for it.
constexpr double kFarSeconds = 10, kBackSeconds = 0.5;

// Containers that are a row of packets without a list of them: a packet's place is the way to it.
bool goes_by_bytes(std::string_view container) {
  for (const char* name : {"mpegts", "mpeg", "flv", "h264", "hevc", "m4v", "mpegvideo", "mjpeg", "ivf"}) {
    if (container == name) return true;
  }
  return false;
}

// Whether an MP4 has fragments, of which FFmpeg lists those alone that it has come to. One whose boxes cannot
// be made out may have them.
bool has_fragments(const MediaSource& source) {
  constexpr int kMostBoxes = 256;
  uint64_t at = 0;
  for (int i = 0; i < kMostBoxes; ++i) {
    const std::string head = part_of(source, at, 16);
    if (head.empty()) return false;
    if (head.size() < 8) return true;
    const std::string_view type = std::string_view(head).substr(4, 4);
    if (type == "moof" || type == "sidx") return true;
    const uint64_t small = AV_RB32(head.data());
    if (small == 1 && head.size() < 16) return true;
    const uint64_t size = small == 1 ? AV_RB64(head.data() + 8) : small;
    if (size == 0) return false;  // the last one, up to the file's end
    if (size < 8) return true;
    at += size;
  }
  return true;
}

}  // namespace

std::string av_words(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof text);
  return text;
}

Demuxer::Demuxer(const MediaSource& source, const MediaLimits& limits)
    : name_(source.name()), limits_(limits), source_(source) {
  open();
}

Demuxer::Demuxer(const MediaSource& source, const MediaLimits& limits, const AVStream& uncut)
    : name_(source.name()), limits_(limits), source_(source) {
  ClipStream clip = open_uncut(source_, name(), uncut);
  container_ = std::move(clip.container);
  stream_ = clip.stream;
}

std::unique_ptr<Demuxer> Demuxer::uncut() const {
  const bool may_be_whole = std::string_view(container_->iformat->name) == "mpegts" &&
                            stream_->codecpar->codec_id == AV_CODEC_ID_H264;
  if (!may_be_whole) return nullptr;
  std::unique_ptr<Demuxer> demuxer(new Demuxer(source(), limits_, *stream_));
  return demuxer->stream_ == nullptr ? nullptr : std::move(demuxer);
}

void Demuxer::open() {
  ClipStream clip = open_clip_stream(source_, name());
  container_ = std::move(clip.container);
  stream_ = clip.stream;
  fresh_ = true;
}

bool Demuxer::bare() const {
  const std::string_view container = container_->iformat->name;
  for (const char* name : {"h261", "h263", "h264", "hevc", "m4v", "mpegvideo", "mjpeg", "obu", "dirac", "vc1",
                           "cavsvideo", "avs2", "avs3", "dnxhd", "ipu"}) {
    if (container == name) return true;
  }
  return false;
}

std::string Demuxer::format() const {
  return fmt::format("{}/{}", container_->iformat->name, avcodec_get_name(stream_->codecpar->codec_id));
}

int64_t Demuxer::listed_packets() const {
  const std::string_view container = container_->iformat->name;
  const bool lists_all = container.starts_with("mov") || container == "avi";
  return lists_all ? avformat_index_get_entries_count(stream_) : 0;
}

std::vector<int64_t> Demuxer::listed_ticks() const {
  const AVCodecID codec = stream_->codecpar->codec_id;
  const bool one_each = codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC;
  if (!one_each || !std::string_view(container_->iformat->name).starts_with("mov")) return {};
  const int entries = avformat_index_get_entries_count(stream_);
  std::vector<int64_t> ticks;
  int64_t step = 0, before = 0;
  for (int i = 0; i < entries; ++i) {
    const AVIndexEntry& entry = *avformat_index_get_entry(stream_, i);
    if (i == 0 && (entry.flags & AVINDEX_KEYFRAME) == 0) return {};
    if (i == 1) step = entry.timestamp - before;
    if (i > 0 && entry.timestamp - before != step) return {};
    if (entry.size <= 0 || (entry.flags & AVINDEX_DISCARD_FRAME) != 0) return {};
    before = entry.timestamp;
    ticks.push_back(i * step);
  }
  if (has_fragments(source())) return {};
  return ticks;
}

std::optional<int64_t> Demuxer::last_time() {
  constexpr int kBehind = 32;  // frames may come so much later than they are shown
  fresh_ = false;
  const int entries = avformat_index_get_entries_count(stream_), at = std::max(0, entries - kBehind);
  const AVIndexEntry* entry = avformat_index_get_entry(stream_, at);
  constexpr int kAnywhere = AVSEEK_FLAG_ANY | AVSEEK_FLAG_BACKWARD;
  if (entry == nullptr || av_seek_frame(container_.get(), stream_->index, entry->timestamp, kAnywhere) < 0)
    return std::nullopt;
  const std::unique_ptr<AVPacket, FreePacket> packet(av_packet_alloc());
  std::optional<int64_t> last;
  Next came = next(*packet);
  for (; came == Next::kPacket; came = next(*packet)) {
    if (packet->pts == AV_NOPTS_VALUE) return std::nullopt;
    last = std::max(last.value_or(packet->pts), packet->pts);
  }
  return came == Next::kEnd ? last : std::nullopt;
}

bool Demuxer::means_damage(const AVPacket& packet) const {
  return (packet.flags & AV_PKT_FLAG_CORRUPT) != 0 && std::string_view(container_->iformat->name) != "mpegts";
}

IndexRules Demuxer::rules() const {
  const double tick_s = av_q2d(stream_->time_base);
  const auto ticks = [tick_s](double seconds) {
    return tick_s > 0 ? static_cast<int64_t>(seconds / tick_s) : INT64_MAX;
  };
  return {reorders(stream_->codecpar->codec_id), stream_->codecpar->video_delay > 0,
          (container_->iformat->flags & AVFMT_TS_DISCONT) != 0 ? ticks(kFarSeconds) : 0, ticks(kBackSeconds)};
}

Demuxer::Next Demuxer::next(AVPacket& packet) {
  fresh_ = false;
  av_packet_unref(&packet);  // what an error left there: reading would forget it
  for (;;) {
    const int got = av_read_frame(container_.get(), &packet);
    // Behind the last boundary this one looks for one more picture.
    const bool boundary =
        std::string_view(container_->iformat->name) == "mpjpeg" && avio_feof(container_->pb);
    if (got == AVERROR_EOF || (got < 0 && boundary)) return Next::kEnd;
    if (got < 0) {
      words_ = av_words(got);
      return Next::kBroken;
    }
    if (packet.stream_index == stream_->index) break;
    av_packet_unref(&packet);
  }
  require(packet.size <= limits_.max_packet_bytes, ErrorCode::kLimitExceeded,
          "[{}] a packet of {} bytes is above max_packet_bytes, {}", name(), packet.size,
          limits_.max_packet_bytes);
  return Next::kPacket;
}

void Demuxer::rewind() {
  if (fresh_) return;
  container_.reset();
  stream_ = nullptr;
  source_.rewind();
  open();
}

bool Demuxer::jump(const PacketIndex::Place& place) {
  fresh_ = false;
  const std::string_view container = container_->iformat->name;
  if (goes_by_bytes(container) && place.pos >= 0)
    return av_seek_frame(container_.get(), stream_->index, place.pos, AVSEEK_FLAG_BYTE) >= 0;
  // Their lists go by the time of decoding, but for those that have no such time.
  const bool shown = place.pts != AV_NOPTS_VALUE &&
                     (place.dts == AV_NOPTS_VALUE || container.starts_with("matroska") || container == "ogg");
  const int64_t time = shown ? place.pts : place.dts;
  return time != AV_NOPTS_VALUE &&
         av_seek_frame(container_.get(), stream_->index, time, AVSEEK_FLAG_BACKWARD) >= 0;
}

bool Demuxer::seek(const PacketIndex& index, int64_t number, AVPacket& packet) {
  int64_t target = number;
  for (int tries = 0; tries < kTries; ++tries) {
    if (!jump(index.place(target))) return false;
    std::optional<int64_t> at;
    for (int strangers = 0; !at && strangers < kStrangers; ++strangers) {
      if (next(packet) != Next::kPacket) break;
      at = index.find(packet, target);
      if (!at) av_packet_unref(&packet);
    }
    while (at && *at < number) {
      av_packet_unref(&packet);
      if (next(packet) != Next::kPacket || !index.matches(++*at, packet)) return false;
    }
    if (at && *at == number) return true;
    av_packet_unref(&packet);
    if (target == 0) return false;
    target = std::max<int64_t>(0, target - (int64_t{1} << (5 * tries)));
  }
  return false;
}

}  // namespace vl3
