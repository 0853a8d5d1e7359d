// Clips through FFmpeg's libraries: which frames a file has, and when they are shown.

#include "media/video_file.h"

#include <algorithm>

#include "media/clip_turn.h"
#include "media/frame_times.h"

namespace vl3 {
namespace {

constexpr int64_t kWorthTrusting = 512, kHeadLooked = 64;  // packets
constexpr int64_t kHeadPackets = 4096;                     // that may come before the first frame
constexpr int64_t kCompared = 64;                          // packets, with and without a parser
constexpr int kFirstBytes = 16 << 20;                      // of a first packet that is worth keeping

}  // namespace

VideoFile::VideoFile(const VideoFile& other)
    : name_(other.name_),
      limits_(other.limits_),
      demuxer_(other.demuxer_.source(), other.limits_),
      shared_index_(other.shared_index_),
      indexed_(true),
      begins_with_key_(other.begins_with_key_),
      frame_width_(other.frame_width_) {
  info_ = other.info_;
  if (other.first_packet_) first_packet_.reset(av_packet_clone(other.first_packet_.get()));
}

void VideoFile::describe() {
  const AVStream& stream = demuxer_.stream();
  info_.height = stream.codecpar->height;
  info_.width = frame_width_ = stream.codecpar->width;
  info_.turn = clip_turn(stream);
  info_.format = demuxer_.format();
  if (info_.height == 0 && info_.width == 0)
    broken(
        "has a video stream ({}), and near its beginning no frame of it that can be decoded: how large "
        "frames are is not known",
        info_.format);
  if (info_.height <= 0 || info_.width <= 0)
    broken("says its frames have {} x {} pixels", info_.width, info_.height);
  require(info_.height <= limits_.max_pixels / info_.width, ErrorCode::kLimitExceeded,
          "[{}] frames of {} x {} pixels are above max_pixels, {}", name_, info_.width, info_.height,
          limits_.max_pixels);
  // What a header says may be made up: AVI that was written to a pipe says 2^30.
  require(demuxer_.listed_packets() <= limits_.max_frames, ErrorCode::kLimitExceeded,
          "[{}] {} frames are more than max_frames, {}", name_, demuxer_.listed_packets(),
          limits_.max_frames);
}

// A long clip whose container lists its frames is opened without reading them all: true where the list can be
// trusted. Only the first packets are looked at, for frames that are shown before the one decoding begins at.
bool VideoFile::trust_list() {
  listed_ = demuxer_.listed_ticks();
  if (static_cast<int64_t>(listed_.size()) < kWorthTrusting) return false;
  index_packets(kHeadLooked);
  const bool whole = !index_.head_is_doubtful() && index_.ordered() && index_.packets() >= kHeadLooked &&
                     index_.frames() == index_.packets();
  // The list has times of decoding: those of showing should end where it says.
  const bool ends_there = whole && lasts(listed_.back(), listed_[1]);
  index_ = PacketIndex();
  demuxer_.rewind();
  lost_packets_ = 0;
  cut_off_ = false;
  cut_words_.clear();
  const AVRational rate = demuxer_.stream().avg_frame_rate;
  const StreamClock clock{av_q2d(demuxer_.stream().time_base),
                          rate.num > 0 && rate.den > 0 ? std::optional(av_q2d(rate)) : std::nullopt,
                          {},
                          0};
  const bool even =
      frame_times(listed_, static_cast<int64_t>(listed_.size()), clock).times_s.empty() && clock.average_fps;
  if (!ends_there || !even) listed_.clear();
  return !listed_.empty();
}

// Whether so many ticks, within half a step, lie between the first frame of the index and the file's last.
bool VideoFile::lasts(int64_t ticks, int64_t step) {
  int64_t first = INT64_MAX;
  for (int64_t i = 0; i < index_.packets(); ++i) first = std::min(first, index_.place(i).pts);
  const std::optional<int64_t> last = demuxer_.last_time();
  return last && std::abs(*last - first - ticks) <= step / 2;
}

// Reads the packets of a clip of which only the list was read.
void VideoFile::complete_index() {
  if (indexed_) return;
  indexed_ = true;
  demuxer_.rewind();
  index_packets(limits_.max_frames);
  if (index_.frames() + lost_packets_ == info_.total_frames) return;
  count();
  tell_times();
}

// The next packets, until there are more than `most`.
Demuxer::Next VideoFile::add_packets(PacketInspector& inspector, int64_t most) {
  while (index_.packets() <= most) {
    const Demuxer::Next next = demuxer_.next(*packet_);
    if (next != Demuxer::Next::kPacket) return next;
    const PacketFacts facts = inspector(*packet_);
    if (index_.packets() == 0) {
      begins_with_key_ = (packet_->flags & AV_PKT_FLAG_KEY) != 0;
      cuts_columns_ = cuts_columns(*demuxer_.stream().codecpar, *packet_);
      if (facts.entry && packet_->size <= kFirstBytes) first_packet_.reset(av_packet_clone(packet_.get()));
    }
    index_.add(*packet_, facts);
    av_packet_unref(packet_.get());
  }
  return Demuxer::Next::kPacket;
}

// All the others, where the container holds each whole: the parser that would cut them takes more than half
// of the time. True where they are sure to be those that the parser gives; else, where any were added, the
// index is of no use.
bool VideoFile::add_uncut(PacketInspector& inspector, int64_t most) {
  const std::unique_ptr<Demuxer> uncut = demuxer_.uncut();
  if (uncut == nullptr) return false;
  const int64_t back_ticks = demuxer_.rules().back_ticks;
  int64_t before = AV_NOPTS_VALUE;
  for (int64_t number = 0; index_.packets() <= most; ++number) {
    const Demuxer::Next next = uncut->next(*packet_);
    if (next == Demuxer::Next::kEnd) break;
    if (next != Demuxer::Next::kPacket || packet_->dts == AV_NOPTS_VALUE) return false;
    if (!is_access_unit({packet_->data, static_cast<size_t>(packet_->size)})) return false;
    const int64_t back = before == AV_NOPTS_VALUE ? 0 : before - packet_->dts;
    if (back > 0 && back <= back_ticks) return false;  // a cut or none, as the parser says
    before = packet_->dts;
    if (number >= index_.packets()) index_.add(*packet_, inspector(*packet_));
    if (!index_.is(number, *packet_)) return false;
    av_packet_unref(packet_.get());
  }
  return index_.packets() > kCompared && (index_.packets() > most || ends_so());
}

// Whether the last packets of the index are the file's, as the parser gives them.
bool VideoFile::ends_so() {
  int64_t number = std::max<int64_t>(0, index_.packets() - kCompared);
  if (!demuxer_.seek(index_, number, *packet_)) return false;
  Demuxer::Next next = Demuxer::Next::kPacket;
  for (; next == Demuxer::Next::kPacket; next = demuxer_.next(*packet_), ++number) {
    if (number >= index_.packets() || !index_.is(number, *packet_)) return false;
    index_.set_duration(number, packet_->duration);
  }
  return next == Demuxer::Next::kEnd && number == index_.packets();
}

void VideoFile::index_packets(int64_t most) {
  // Containers that carry a time of showing for every frame, and whole frames in their packets, spare the
  // parser.
  const std::string_view format = info_.format;
  const IndexRules rules = demuxer_.rules();
  const bool anew = index_.packets() > 0;
  const bool find_order =
      (anew && !index_.times_tell(rules)) || !(format.starts_with("mov") || format.starts_with("matroska"));
  index_ = PacketIndex();
  std::optional<PacketInspector> inspector(std::in_place, *demuxer_.stream().codecpar, find_order);
  Demuxer::Next next = add_packets(*inspector, std::min(most, kCompared - 1));
  if (next == Demuxer::Next::kPacket && add_uncut(*inspector, most)) {
    next = Demuxer::Next::kEnd;
  } else if (next == Demuxer::Next::kPacket) {
    if (index_.packets() != kCompared) {
      index_ = PacketIndex();
      demuxer_.rewind();  // opened anew: so are the parameters
      inspector.emplace(*demuxer_.stream().codecpar, find_order);
    }
    next = add_packets(*inspector, most);
  }
  require(index_.packets() <= limits_.max_frames, ErrorCode::kLimitExceeded,
          "[{}] more packets than max_frames, {}", name_, limits_.max_frames);
  // Matroska files that were cut out of others lack the times of frames before their first key frame, and
  // some were written with times of decoding alone.
  if (!find_order && index_.packets() > 0 && !index_.times_tell(rules)) {
    demuxer_.rewind();
    return index_packets(most);
  }
  index_.finish(rules);
  lost_packets_ = std::max<int64_t>(0, demuxer_.listed_packets() - index_.packets());
  cut_off_ = lost_packets_ > 0 || next == Demuxer::Next::kBroken;
  if (next == Demuxer::Next::kBroken) cut_words_ = ": " + demuxer_.words();
}

// Decodes at the start for look() alone. What is wrong there, reading says.
template <class Look>
void VideoFile::look(Look&& look) {
  skip_broken_ = true;
  try {
    open_decoder();
    begin_at_start();
    look();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnsupported || error.code() == ErrorCode::kLimitExceeded) throw;
  }
  av_frame_unref(frame_.get());
  skip_broken_ = false;
}

// FFmpeg cuts columns off at the left only as far as rows then still begin where its vectors can: the others
// stay, and PyAV shows them. How many, a frame tells.
void VideoFile::find_width() {
  if (!cuts_columns_) return;
  look([&] {
    const bool wider = next_frame() && frame_->height == info_.height && frame_->width > frame_width_;
    if (wider) info_.width = frame_width_ = frame_->width;
  });
}

// Where a recording begins inside a group of pictures, those that refer to what is not there never come.
void VideoFile::check_head() {
  if (!index_.ordered() || index_.frames() == 0 || !index_.head_is_doubtful()) return;
  look([&] {
    // Up to the first frame that is sure to come, or, without one, up to the first that comes.
    const int64_t sure = index_.first_entry_frame();
    std::vector<int64_t> came;
    int64_t last = -1, late = 0;
    while (next_packet_ < kHeadPackets && last < sure && next_frame()) {
      if (index_.frame_of(frame_->pts) <= last) {
        ++late;
        continue;
      }
      last = index_.frame_of(frame_->pts);
      came.push_back(frame_->pts);
    }
    if (last < sure || !broken_.empty()) return;
    index_.set_head(came);
    if (late > 0) index_.give_up_order(late);
  });
}

void VideoFile::count() {
  info_.total_frames = indexed_ ? index_.frames() + lost_packets_ : static_cast<int64_t>(listed_.size());
  if (info_.total_frames == 0) broken("has no frames{}", cut_words_);
  require(info_.total_frames <= limits_.max_frames, ErrorCode::kLimitExceeded,
          "[{}] {} frames are more than max_frames, {}", name_, info_.total_frames, limits_.max_frames);
}

void VideoFile::tell_times() {
  const AVStream& stream = demuxer_.stream();
  const auto rate = [](AVRational r) {
    return r.num > 0 && r.den > 0 ? std::optional(av_q2d(r)) : std::nullopt;
  };
  StreamClock clock{av_q2d(stream.time_base), rate(stream.avg_frame_rate), rate(stream.r_frame_rate),
                    index_.last_duration_ticks()};
  std::vector<int64_t> ticks = indexed_ ? index_.ticks() : listed_;
  // These have the rate of their standard. FFmpeg 5 spaces the first frames as those of streams that say
  // none; of H.261 FFmpeg 8, which PyAV has, does so no more.
  const AVCodecID codec = stream.codecpar->codec_id;
  if (demuxer_.bare() && (codec == AV_CODEC_ID_H261 || codec == AV_CODEC_ID_H263)) {
    clock.average_fps = clock.base_fps;
    if (codec == AV_CODEC_ID_H261) ticks.clear();
  }
  if (static_cast<int64_t>(ticks.size()) + lost_packets_ != info_.total_frames) ticks.clear();
  FrameTimes times = frame_times(ticks, info_.total_frames, clock);
  info_.fps = times.fps;
  info_.duration_s = times.duration_s;
  info_.times_s = std::move(times.times_s);
  if (rate_assumed_ && rate_) {
    info_.fps = rate_;
    info_.duration_s = static_cast<double>(info_.total_frames) / *rate_;
    info_.times_s.clear();
  }
  while (!info_.times_s.empty() && static_cast<int64_t>(info_.times_s.size()) < info_.total_frames)
    info_.times_s.push_back(info_.times_s.back() + 1 / *info_.fps);  // those that were cut off
  require(info_.duration_s <= limits_.max_duration_s, ErrorCode::kLimitExceeded,
          "[{}] {:.1f} s are more than max_duration_s, {:.1f}", name_, info_.duration_s,
          limits_.max_duration_s);
}

// Of a bare stream FFmpeg takes 25 frames a second where it says nothing: a decoder knows whether it does.
void VideoFile::find_rate() {
  constexpr double kTaken = 25;
  if (!demuxer_.bare() || info_.fps != kTaken) return;
  rate_assumed_ = true;
  look([&] { rate_assumed_ = !(next_frame() && decoder_->knows_rate()); });
  if (rate_assumed_ && rate_) tell_times();
  tell_assumed();
}

void VideoFile::tell_assumed() {
  if (!rate_assumed_ || rate_) return;
  notes_.push_back(
      fmt::format("[{}] does not say how many frames a second it has: {:g} are assumed, unless pictures_rate "
                  "says how many",
                  name_, *info_.fps));
}

double VideoFile::time_of(int64_t frame) const {
  const size_t i = static_cast<size_t>(frame);
  return i < info_.times_s.size() ? info_.times_s[i] : static_cast<double>(frame) / info_.fps.value_or(1.0);
}

// The frame a packet belongs to, as well as can be told.
int64_t VideoFile::number_of(int64_t packet) const {
  const bool known = index_.ordered() && packet < index_.packets() && index_.frame_of(packet) >= 0;
  return known ? index_.frame_of(packet) : std::max<int64_t>(0, here_ + 1);
}

// The clip has the frames that came and no more.
void VideoFile::end_early() {
  const int64_t said = info_.total_frames, there = static_cast<int64_t>(shown_.size());
  if (there == 0) broken("has no frame that can be decoded{}", cut_words_);
  std::vector<int64_t> distinct = shown_;
  std::sort(distinct.begin(), distinct.end());
  const bool one_each = std::adjacent_find(distinct.begin(), distinct.end()) == distinct.end();
  if (one_each) index_.set_shown(shown_);
  lost_packets_ = 0;
  cut_off_ = false;
  info_.total_frames = there;
  const double end_s = time_of(there - 1);
  tell_times();
  const std::string words = fmt::format("[{}] ends after {} frames ({:.2f} s), where {} were expected{}",
                                        name_, there, end_s, said, cut_words_);
  throw ClipEnded(words);
}

}  // namespace vl3
