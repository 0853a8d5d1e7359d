// Clips through FFmpeg's libraries: demuxed and decoded as a stream, one frame converted at a time.

#include <algorithm>
#include <set>

#include "base/check.h"
#include "media/demuxer.h"
#include "media/frame_converter.h"
#include "media/frame_decoder.h"
#include "media/frame_times.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

// Below so many frames that nobody wants, all are decoded: leaping would not pay.
constexpr int64_t kWorthLeaping = 128;
constexpr int64_t kWorthSeeking = 16;  // frames that a leap leaves out: it empties the decoder
constexpr int64_t kWorthTrusting = 512, kHeadLooked = 64;  // packets
constexpr int64_t kHeadPackets = 4096;                     // that may come before the first frame
constexpr int kFirstBytes = 16 << 20;                      // of a first packet that is worth keeping

struct FreePacket {
  void operator()(AVPacket* p) const { av_packet_free(&p); }
};
struct FreeFrame {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
};
using Frame = std::unique_ptr<AVFrame, FreeFrame>;

class VideoFile final : public VideoReader {
 public:
  using Sink = std::function<void(size_t, const Image&)>;
  using Cancelled = std::function<bool()>;

  VideoFile(const fs::path& path, const MediaLimits& limits)
      : path_(path), limits_(limits), demuxer_(open(path, limits)) {
    describe();
    if (!trust_list()) {
      index_packets(limits_.max_frames);
      indexed_ = true;
      check_head();
    }
    count();
    tell_times();
  }

  void read(std::span<const int64_t> indices, const Sink& sink, const Cancelled& cancelled) override;

 private:
  static Demuxer open(const fs::path& path, const MediaLimits& limits) {
    av_log_set_level(AV_LOG_QUIET);  // what goes wrong comes back as an error, not on stderr
    return Demuxer(path, limits);
  }
  template <class... Args>
  [[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::kFormat, "[{}] {}", path_.string(), fmt::format(format, std::forward<Args>(args)...));
  }
  void check(const Cancelled& cancelled) const {
    require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[{}] cancelled", path_.string());
  }
  double time_of(int64_t frame) const;
  int64_t number_of(int64_t packet) const;

  // What there is.
  void describe();
  bool trust_list();
  void index_packets(int64_t most);
  void complete_index();
  void check_head();
  void count();
  void tell_times();
  [[noreturn]] void end_early();

  // Decoding.
  void open_decoder();
  void begin_at_start();
  bool begin_at(const PacketIndex::Entry& entry);
  bool next_packet();
  bool feed();
  bool next_frame();
  void damage(int64_t packet, const std::string& words);
  bool in_quiet(int64_t packet) const;
  void convert(const AVFrame& frame, int64_t number);
  void deliver(int64_t wanted);

  bool leaps_pay(std::span<const int64_t> indices) const;
  size_t read_by_leaps(std::span<const int64_t> indices, const Sink& sink, const Cancelled& cancelled);
  void read_from_start(std::span<const int64_t> indices, size_t i, const Sink& sink,
                       const Cancelled& cancelled);
  bool advance(int64_t wanted, const Cancelled& cancelled);
  bool place_frame();
  void tell_concealed();

  fs::path path_;
  MediaLimits limits_;
  Demuxer demuxer_;
  PacketIndex index_;
  bool indexed_ = false;         // index_ has all packets
  std::vector<int64_t> listed_;  // Demuxer::listed_ticks, where that is trusted
  bool begins_with_key_ = false;
  int64_t lost_packets_ = 0;  // that the container lists and does not have
  bool cut_off_ = false;
  std::string cut_words_;

  std::unique_ptr<FrameDecoder> decoder_;
  std::unique_ptr<AVPacket, FreePacket> packet_{av_packet_alloc()}, first_packet_;
  bool packet_waits_ = false;  // packet_ is there already
  int64_t next_packet_ = 0;    // the number of the packet that comes next
  bool ended_ = false;         // the decoder was told that no packet comes
  bool strayed_ = false;       // behind a leap a packet came that the index does not have there
  bool leaping_ = false;
  int64_t floor_ = 0;  // frames before are not right yet: decoding began behind what they are made from
  std::vector<int64_t> wanted_;  // when leaping

  Frame frame_{av_frame_alloc()};
  int64_t here_ = -1;               // the number of the frame in frame_
  std::set<int64_t> broken_;        // frames that are, by their numbers
  Frame before_{av_frame_alloc()};  // the last good one before it, where broken ones are skipped
  std::vector<int64_t> shown_;      // packets of the frames that came, read from the start
  int64_t concealed_ = 0, first_concealed_ = 0;
  FrameConverter converter_;
  Image image_;
};

// --- what there is

void VideoFile::describe() {
  const AVStream& stream = demuxer_.stream();
  info_.height = stream.codecpar->height;
  info_.width = stream.codecpar->width;
  info_.format = demuxer_.format();
  if (info_.height <= 0 || info_.width <= 0)
    broken("says its frames have {} x {} pixels", info_.width, info_.height);
  require(info_.height <= limits_.max_pixels / info_.width, ErrorCode::kLimitExceeded,
          "[{}] frames of {} x {} pixels are above max_pixels, {}", path_.string(), info_.width, info_.height,
          limits_.max_pixels);
  require(stream.nb_frames <= limits_.max_frames, ErrorCode::kLimitExceeded,
          "[{}] {} frames are more than max_frames, {}", path_.string(), stream.nb_frames,
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
  index_ = PacketIndex();
  demuxer_.rewind();
  lost_packets_ = 0;
  cut_off_ = false;
  const AVRational rate = demuxer_.stream().avg_frame_rate;
  const StreamClock clock{av_q2d(demuxer_.stream().time_base),
                          rate.num > 0 && rate.den > 0 ? std::optional(av_q2d(rate)) : std::nullopt,
                          {},
                          0};
  const bool even =
      frame_times(listed_, static_cast<int64_t>(listed_.size()), clock).times_s.empty() && clock.average_fps;
  if (!whole || !even) listed_.clear();
  return !listed_.empty();
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

void VideoFile::index_packets(int64_t most) {
  // Containers that carry a time of showing for every frame, and whole frames in their packets, spare the
  // parser.
  const std::string_view format = info_.format;
  const bool find_order = !format.starts_with("mov") && !format.starts_with("matroska");
  PacketInspector inspector(*demuxer_.stream().codecpar, find_order);
  Demuxer::Next next = Demuxer::Next::kPacket;
  while (index_.packets() <= most) {
    next = demuxer_.next(*packet_);
    if (next != Demuxer::Next::kPacket) break;
    const PacketFacts facts = inspector(*packet_);
    if (index_.packets() == 0) {
      begins_with_key_ = (packet_->flags & AV_PKT_FLAG_KEY) != 0;
      if (facts.entry && packet_->size <= kFirstBytes) first_packet_.reset(av_packet_clone(packet_.get()));
    }
    index_.add(*packet_, facts);
    av_packet_unref(packet_.get());
  }
  require(index_.packets() <= limits_.max_frames, ErrorCode::kLimitExceeded,
          "[{}] more packets than max_frames, {}", path_.string(), limits_.max_frames);
  index_.finish(demuxer_.rules());
  lost_packets_ = std::max<int64_t>(0, demuxer_.listed_packets() - index_.packets());
  cut_off_ = lost_packets_ > 0 || next == Demuxer::Next::kBroken;
  if (next == Demuxer::Next::kBroken) cut_words_ = ": " + demuxer_.words();
}

// Where a recording begins inside a group of pictures, those that refer to what is not there never come.
void VideoFile::check_head() {
  if (!index_.ordered() || index_.frames() == 0 || !index_.head_is_doubtful()) return;
  skip_broken_ = true;
  try {
    open_decoder();
    begin_at_start();
    // Up to the first frame that is sure to come, or, without one, up to the first that comes.
    const int64_t sure = index_.first_entry_frame();
    std::vector<int64_t> came;
    int64_t last = -1;
    while (next_packet_ < kHeadPackets && last < sure && next_frame()) {
      if (index_.frame_of(frame_->pts) <= last) continue;
      last = index_.frame_of(frame_->pts);
      came.push_back(frame_->pts);
    }
    if (last >= sure && broken_.empty()) index_.set_head(came);
  } catch (const Error& error) {  // reading says it again
    if (error.code() == ErrorCode::kUnsupported || error.code() == ErrorCode::kLimitExceeded) throw;
  }
  av_frame_unref(frame_.get());
  skip_broken_ = false;
}

void VideoFile::count() {
  info_.total_frames = indexed_ ? index_.frames() + lost_packets_ : static_cast<int64_t>(listed_.size());
  if (info_.total_frames == 0) broken("has no frames{}", cut_words_);
  require(info_.total_frames <= limits_.max_frames, ErrorCode::kLimitExceeded,
          "[{}] {} frames are more than max_frames, {}", path_.string(), info_.total_frames,
          limits_.max_frames);
}

void VideoFile::tell_times() {
  const AVStream& stream = demuxer_.stream();
  const auto rate = [](AVRational r) {
    return r.num > 0 && r.den > 0 ? std::optional(av_q2d(r)) : std::nullopt;
  };
  const StreamClock clock{av_q2d(stream.time_base), rate(stream.avg_frame_rate), rate(stream.r_frame_rate),
                          index_.last_duration_ticks()};
  std::vector<int64_t> ticks = indexed_ ? index_.ticks() : listed_;
  if (static_cast<int64_t>(ticks.size()) + lost_packets_ != info_.total_frames) ticks.clear();
  FrameTimes times = frame_times(ticks, info_.total_frames, clock);
  info_.fps = times.fps;
  info_.duration_s = times.duration_s;
  info_.times_s = std::move(times.times_s);
  while (!info_.times_s.empty() && static_cast<int64_t>(info_.times_s.size()) < info_.total_frames)
    info_.times_s.push_back(info_.times_s.back() + 1 / *info_.fps);  // those that were cut off
  require(info_.duration_s <= limits_.max_duration_s, ErrorCode::kLimitExceeded,
          "[{}] {:.1f} s are more than max_duration_s, {:.1f}", path_.string(), info_.duration_s,
          limits_.max_duration_s);
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
                                        path_.string(), there, end_s, said, cut_words_);
  throw ClipEnded(words);
}

// --- decoding

void VideoFile::open_decoder() {
  decoder_ = std::make_unique<FrameDecoder>(demuxer_.stream(), limits_, path_.string(), info_.format);
  if (packet_waits_) av_packet_unref(packet_.get());
  packet_waits_ = ended_ = strayed_ = false;
  here_ = -1;
  floor_ = 0;
  broken_.clear();
  av_frame_unref(frame_.get());
  av_frame_unref(before_.get());
}

void VideoFile::begin_at_start() {
  demuxer_.rewind();
  leaping_ = false;
  next_packet_ = 0;
  shown_.clear();
}

// False where the container cannot go there.
bool VideoFile::begin_at(const PacketIndex::Entry& entry) {
  decoder_->flush();
  if (packet_waits_) av_packet_unref(packet_.get());
  packet_waits_ = ended_ = false;
  av_frame_unref(frame_.get());
  if (!demuxer_.seek(index_, entry.packet, *packet_)) return false;
  packet_waits_ = true;
  next_packet_ = entry.packet;
  av_frame_unref(before_.get());
  floor_ = entry.frame;
  here_ = entry.frame - 1;
  return true;
}

// The next packet in packet_; false at the end.
bool VideoFile::next_packet() {
  if (packet_waits_) {
    packet_waits_ = false;
    return true;
  }
  const Demuxer::Next next = demuxer_.next(*packet_);
  if (next != Demuxer::Next::kPacket) return false;
  strayed_ = strayed_ || (leaping_ && !index_.matches(next_packet_, *packet_));
  return true;
}

// Errors there are no damage: a recording that begins inside a group of pictures, or what comes behind a leap
// before the first frame that is right.
bool VideoFile::in_quiet(int64_t packet) const {
  if (leaping_) return index_.frame_of(packet) < floor_;
  const int64_t entry = index_.first_entry();
  return !begins_with_key_ && packet < entry && (entry < index_.packets() || here_ < 0);
}

void VideoFile::damage(int64_t packet, const std::string& words) {
  if (packet >= index_.packets() || in_quiet(packet)) return;
  const int64_t frame = number_of(packet);
  if (!skip_broken_) broken("frame {} ({:.2f} s) {}", frame, time_of(frame), words);
  broken_.insert(frame);
}

// One packet into the decoder, or word that there are no more.
bool VideoFile::feed() {
  if (ended_) return false;
  if (!next_packet()) {
    ended_ = true;
    decoder_->send_end();
    return true;
  }
  const int64_t number = next_packet_++;
  if (strayed_) return false;
  if (packet_->size > 0) {  // empty ones would end the decoder
    if (demuxer_.means_damage(*packet_)) damage(number, "is cut off or corrupt");
    const bool needed =
        !leaping_ || std::binary_search(wanted_.begin(), wanted_.end(), index_.frame_of(number));
    const int sent = decoder_->send(*packet_, number, needed);
    if (sent < 0 && sent != AVERROR_EOF) damage(decoder_->blamed(), "cannot be decoded: " + av_words(sent));
  }
  av_packet_unref(packet_.get());
  return true;
}

// The next frame in frame_; false at the end.
bool VideoFile::next_frame() {
  for (;;) {
    const int got = decoder_->receive(*frame_);
    if (got == 0) {
      ++frames_decoded_;
      if (frame_->decode_error_flags != 0) damage(frame_->pts, "is broken");
      return true;
    }
    if (got == AVERROR_EOF) return false;
    if (got != AVERROR(EAGAIN)) {
      damage(decoder_->blamed(), "cannot be decoded: " + av_words(got));
    } else if (!feed()) {
      return false;
    }
  }
}

void VideoFile::convert(const AVFrame& frame, int64_t number) {
  const int height = frame.height, width = frame.width;
  require(height > 0 && width > 0 && height <= limits_.max_pixels / width, ErrorCode::kLimitExceeded,
          "[{}] frame {} has {} x {} pixels, above max_pixels, {}", path_.string(), number, width, height,
          limits_.max_pixels);
  if (height != info_.height || width != info_.width) {
    broken("frame {} has {} x {} pixels; the clip says {} x {}", number, width, height, info_.width,
           info_.height);
  }
  require(converter_(frame, image_), ErrorCode::kUnsupported,
          "[{}] frame {} of pixel format {} cannot be converted", path_.string(), number, frame.format);
}

// --- reading

// The number of the frame in frame_ in here_; false where it is none that is counted.
bool VideoFile::place_frame() {
  if (!leaping_) shown_.push_back(frame_->pts);
  if (leaping_ || (skip_broken_ && index_.ordered())) {
    const int64_t number = index_.frame_of(frame_->pts);
    if (number < floor_ || number <= here_) return false;
    here_ = number;
  } else {
    ++here_;
  }
  return true;
}

// Decodes up to a frame, or, where that one does not come, up to the first behind it. False at the end.
bool VideoFile::advance(int64_t wanted, const Cancelled& cancelled) {
  while (here_ < wanted || frame_->buf[0] == nullptr) {
    check(cancelled);
    if (skip_broken_ && frame_->buf[0] != nullptr && !broken_.contains(here_)) {
      av_frame_unref(before_.get());
      av_frame_move_ref(before_.get(), frame_.get());
    }
    av_frame_unref(frame_.get());
    if (!next_frame()) return false;
    if (!place_frame()) av_frame_unref(frame_.get());
  }
  return true;
}

// The frame that was wanted in image_; in place of one that never came, the last good one.
void VideoFile::deliver(int64_t wanted) {
  const bool came = frame_->buf[0] != nullptr && here_ == wanted;
  const AVFrame& frame = came || before_->buf[0] == nullptr ? *frame_ : *before_;
  if (frame.buf[0] == nullptr) broken("frame {} cannot be decoded, nor one before it", wanted);
  convert(frame, wanted);
  if ((!came || broken_.contains(wanted)) && concealed_++ == 0) first_concealed_ = wanted;
}

bool VideoFile::leaps_pay(std::span<const int64_t> indices) const {
  const int64_t unwanted = indices.back() + 1 - static_cast<int64_t>(indices.size());
  return index_.ordered() && unwanted >= kWorthLeaping && indices.back() < index_.frames() &&
         index_.first_entry() < index_.packets();
}

// Leaps from one wanted frame to the next. How many of the indices were served: not all of them where the
// clip is not as its packets say, or broken.
size_t VideoFile::read_by_leaps(std::span<const int64_t> indices, const Sink& sink,
                                const Cancelled& cancelled) {
  open_decoder();
  leaping_ = true;
  wanted_.assign(indices.begin(), indices.end());
  if (first_packet_) {  // what only a first packet says of the whole stream
    const std::unique_ptr<AVPacket, FreePacket> first(av_packet_clone(first_packet_.get()));
    if (first) decoder_->send(*first, 0, true);
  }
  size_t i = 0;
  try {
    while (i < indices.size()) {
      const int64_t wanted = indices[i];
      const PacketIndex::Entry entry = index_.entry_before(wanted);
      if ((i == 0 || entry.frame > here_ + kWorthSeeking) && !begin_at(entry)) return i;
      if (!advance(wanted, cancelled) || (here_ != wanted && !skip_broken_)) return i;
      deliver(wanted);
      for (; i < indices.size() && indices[i] == wanted; ++i) sink(i, image_);
    }
  } catch (const Error& error) {  // reading from the start says what is wrong, if anything is
    if (error.code() != ErrorCode::kFormat) throw;
  }
  return i;
}

void VideoFile::read_from_start(std::span<const int64_t> indices, size_t i, const Sink& sink,
                                const Cancelled& cancelled) {
  open_decoder();
  begin_at_start();
  while (i < indices.size()) {
    const int64_t wanted = indices[i];
    const bool came = advance(wanted, cancelled);
    if (!came && !skip_broken_ && cut_off_)
      broken("is cut off or corrupt behind frame {}{}", here_, cut_words_);
    if (!came && (broken_.empty() || cut_off_ || !index_.ordered())) end_early();
    deliver(wanted);
    for (; i < indices.size() && indices[i] == wanted; ++i) sink(i, image_);
  }
}

void VideoFile::tell_concealed() {
  if (concealed_ == 0) return;
  notes_.push_back(
      fmt::format("[{}] {} of the frames looked at {} broken and concealed, the first of them frame {} "
                  "({:.2f} s)",
                  path_.string(), concealed_, concealed_ == 1 ? "is" : "are", first_concealed_,
                  time_of(first_concealed_)));
}

void VideoFile::read(std::span<const int64_t> indices, const Sink& sink, const Cancelled& cancelled) {
  require(std::is_sorted(indices.begin(), indices.end()) && (indices.empty() || indices[0] >= 0),
          ErrorCode::kInvalidArgument, "[{}] frames are read in ascending order", path_.string());
  frames_decoded_ = 0;
  concealed_ = 0;
  notes_.clear();
  if (indices.empty()) return;
  require(indices.back() < info_.total_frames, ErrorCode::kInvalidArgument,
          "[{}] frame {} was asked for; there are {}", path_.string(), indices.back(), info_.total_frames);
  complete_index();
  if (indices.back() >= info_.total_frames) {
    throw ClipEnded(fmt::format("[{}] has {} frames, where its list of them says {}", path_.string(),
                                info_.total_frames, listed_.size()));
  }
  const size_t served = leaps_pay(indices) ? read_by_leaps(indices, sink, cancelled) : 0;
  if (served < indices.size()) read_from_start(indices, served, sink, cancelled);
  tell_concealed();
}

}  // namespace

std::unique_ptr<VideoReader> VideoReader::open(const fs::path& path, const MediaLimits& limits) {
  if (!fs::is_directory(path)) return std::make_unique<VideoFile>(path, limits);
  std::vector<fs::path> pictures;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.is_regular_file() && entry.path().filename().string()[0] != '.')
      pictures.push_back(entry.path());
  }
  std::sort(pictures.begin(), pictures.end());
  require(!pictures.empty(), ErrorCode::kInvalidArgument, "[{}] is a folder without pictures", path.string());
  return open_pictures(std::move(pictures), limits);
}

}  // namespace vl3
