#pragma once
// A clip in a file: its packets are read once to know what there is (video_file.cc), then decoded
// (video_file_decode.cc) from the start or by leaps (video_file_read.cc).

extern "C" {
#include <libavcodec/avcodec.h>
}

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "media/demuxer.h"
#include "media/frame_converter.h"
#include "media/frame_decoder.h"
#include "media/packet_index.h"
#include "vl3/video.h"

namespace vl3 {

struct FreeFrame {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
};
using Frame = std::unique_ptr<AVFrame, FreeFrame>;

class LeapHelper;

class VideoFile final : public VideoReader {
 public:
  using Sink = std::function<void(size_t, const Image&)>;
  using Cancelled = std::function<bool()>;

  // rate: of a bare stream that says none.
  VideoFile(const MediaSource& source, const MediaLimits& limits, std::optional<double> rate)
      : name_(source.name()), limits_(limits), rate_(rate), demuxer_(source, limits) {
    describe();
    if (!trust_list()) {
      index_packets(limits_.max_frames);
      indexed_ = true;
      check_head();
    }
    find_width();
    count();
    tell_times();
    find_rate();
  }

  void read(std::span<const int64_t> indices, const Sink& sink, const Cancelled& cancelled) override;
  void turn_upright() override;

 private:
  friend class LeapHelper;

  // Another reader of a clip whose packets are known.
  VideoFile(const VideoFile& other);
  template <class... Args>
  [[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::kFormat, "[{}] {}", name_, fmt::format(format, std::forward<Args>(args)...));
  }
  void check(const Cancelled& cancelled) const {
    require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[{}] cancelled", name_);
  }
  double time_of(int64_t frame) const;
  int64_t number_of(int64_t packet) const;

  // What there is.
  void describe();
  bool trust_list();
  bool lasts(int64_t ticks, int64_t step);
  void index_packets(int64_t most);
  Demuxer::Next add_packets(PacketInspector& inspector, int64_t most);
  bool add_uncut(PacketInspector& inspector, int64_t most);
  bool ends_so();
  void complete_index();
  template <class Look>
  void look(Look&& look);
  void check_head();
  void find_width();
  void count();
  void tell_times();
  void find_rate();
  void tell_assumed();
  [[noreturn]] void end_early();

  // Decoding.
  void open_decoder();
  void begin_at_start();
  bool begin_at(const PacketIndex::Entry& entry);
  bool next_packet();
  bool is_to_drain() const;
  bool feed();
  bool next_frame();
  void damage(int64_t packet, const std::string& words);
  bool in_quiet(int64_t packet) const;
  bool comes_too_early(int64_t packet) const;
  void convert(const AVFrame& frame, int64_t number);
  void deliver(int64_t wanted);

  bool leaps_pay(std::span<const int64_t> indices) const;
  std::vector<size_t> leaps_of(std::span<const int64_t> indices) const;
  void begin_leaps(std::span<const int64_t> indices);
  size_t leap(std::span<const int64_t> indices, const Sink& sink, const Cancelled& cancelled);
  std::unique_ptr<LeapHelper> helper_for(std::span<const int64_t> indices,
                                         std::span<const size_t> leaps) const;
  size_t take(LeapHelper& helper, std::span<const int64_t> indices, const Sink& sink,
              const Cancelled& cancelled);
  size_t read_by_leaps(std::span<const int64_t> indices, bool alone, const Sink& sink,
                       const Cancelled& cancelled);
  void read_from_start(std::span<const int64_t> indices, size_t i, const Sink& sink,
                       const Cancelled& cancelled);
  bool advance(int64_t wanted, const Cancelled& cancelled);
  bool place_frame();
  void tell_unread();
  void tell_concealed();

  std::string name_;
  MediaLimits limits_;
  std::optional<double> rate_;
  bool rate_assumed_ = false;  // the stream says none
  Demuxer demuxer_;
  std::shared_ptr<PacketIndex> shared_index_{std::make_shared<PacketIndex>()};  // with helpers
  PacketIndex& index_ = *shared_index_;
  bool indexed_ = false;         // index_ has all packets
  std::vector<int64_t> listed_;  // Demuxer::listed_ticks, where that is trusted
  bool begins_with_key_ = false;
  bool cuts_columns_ = false;
  int frame_width_ = 0;       // as stored
  int64_t lost_packets_ = 0;  // that the container lists and does not have
  bool cut_off_ = false;
  std::string cut_words_;

  std::unique_ptr<FrameDecoder> decoder_;
  std::unique_ptr<AVPacket, FreePacket> packet_{av_packet_alloc()}, first_packet_;
  bool packet_waits_ = false;  // packet_ is there already
  int64_t next_packet_ = 0;    // the number of the packet that comes next
  bool ended_ = false;         // the decoder was told that no packet comes
  bool draining_ = false;      // it was told so in front of packet next_packet_, and goes on there
  int64_t drained_at_ = -1;    // the packet where that was so last
  bool strayed_ = false;       // behind a leap a packet came that the index does not have there
  bool leaping_ = false;
  int64_t last_packet_ = 0;  // when leaping: what lies behind it is not needed before the next leap
  int64_t floor_ = 0;        // frames before are not right yet: decoding began behind what they are made from
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

}  // namespace vl3
