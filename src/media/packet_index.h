#pragma once
// The packets of a clip and the frames they show: how many there are, when each is shown, and at which
// packets decoding can begin. What a reader has to know to count frames, to tell their times, and to leave
// most of them out. Filled by reading the file once, which is far quicker than decoding it.

extern "C" {
#include <libavcodec/packet.h>
}

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "media/packet_facts.h"

namespace vl3 {

// What the container and the codec are like.
struct IndexRules {
  bool reorders = true;    // frames may be shown in another order than their packets come in
  bool delays = false;     // and the stream does so, as far as its beginning was decoded
  int64_t far_ticks = 0;   // a step of decoding times of more, up or down, is a cut; 0: upwards never
  int64_t back_ticks = 0;  // a step down of more is a cut, whatever packet it is at
};

class PacketIndex {
 public:
  // Packets in the order of the file, numbered from 0.
  void add(const AVPacket& packet, const PacketFacts& facts);
  // Numbers the frames in the order shown. Once, behind the last add.
  void finish(const IndexRules& rules);

  int64_t packets() const noexcept { return static_cast<int64_t>(packets_.size()); }
  int64_t frames() const noexcept { return frames_; }
  // Whether it is known which packet shows which frame; else frames() is all there is to know.
  bool ordered() const noexcept { return ordered_; }
  // Whether the packets' times of showing tell the order of frames: all shown ones have one, and where the
  // stream reorders they go back. Some tools write times of decoding in their place.
  bool times_tell(const IndexRules& rules) const noexcept {
    return !lacks_times_ && (goes_back_ || !rules.delays);
  }
  // When each frame is shown, in ticks of the stream behind the first; empty where that is unknown. Cuts
  // (recordings put one behind the other, whose clocks jump) are closed.
  const std::vector<int64_t>& ticks() const noexcept { return ticks_; }
  int64_t last_duration_ticks() const noexcept { return last_duration_; }  // 0: unknown

  // The frame a packet shows or belongs to; -1 where it shows none. Needs ordered().
  int64_t frame_of(int64_t packet) const { return packets_[static_cast<size_t>(packet)].frame; }
  // Whether the container says that nobody is to see what comes of it: an edit begins or ends there.
  bool is_discarded(int64_t packet) const;
  // Whether decoding goes back in time there, to what leads to the next edit.
  bool begins_edit(int64_t packet) const;
  // The last packet of a frame that is shown: its second field, where that is a packet of its own.
  int64_t last_packet_of(int64_t frame) const;
  struct Entry {
    int64_t packet, frame;
  };
  // Where decoding begins for a frame: the last packet that leads to it, and the first frame that is right
  // then. Packet 0 where nothing is known to.
  Entry entry_before(int64_t frame) const;
  // The first packet that decoding can begin at; packets() where there is none.
  int64_t first_entry() const noexcept { return entries_.empty() ? packets() : entries_[0].packet; }
  int64_t first_entry_frame() const noexcept { return entries_.empty() ? 0 : entries_[0].frame; }
  // Whether frames at the start may be lacking: what they are made from lies before the file's first packet.
  bool head_is_doubtful() const;

  // Only those packets show frames, in that order, as decoding has found.
  void set_shown(std::span<const int64_t> packets);
  // Up to the frame of the last of those packets, no others show any.
  void set_head(std::vector<int64_t> packets);
  // So many frames come beside these, in no order that packets tell: behind a picture that lacks what it is
  // made from, a decoder may show it twice, or those before it late. They are shown at the end, as far as
  // times go.
  void give_up_order(int64_t more_frames);

  struct Place {
    int64_t pts, dts, pos;  // AV_NOPTS_VALUE, AV_NOPTS_VALUE, -1 where absent
  };
  Place place(int64_t packet) const;
  // Whether `read` is packet `packet` with its times and its place.
  bool is(int64_t packet, const AVPacket& read) const;
  void set_duration(int64_t packet, int64_t ticks);
  // Whether `read` is packet `packet` again.
  bool matches(int64_t packet, const AVPacket& read) const;
  // The number of a packet that was read anywhere in the file, looked for around `near`.
  std::optional<int64_t> find(const AVPacket& read, int64_t near) const;

 private:
  struct Packet {
    int64_t pts, dts, pos;
    int64_t order = 0;  // within its run
    int32_t size;
    uint32_t mark;    // of its first and last bytes
    int32_t run = 0;  // of packets in one clock, or one count of pictures
    int32_t frame = -1;
    int32_t duration = 0;
    bool shown, entry, second_field, has_order, restarts, key, discarded;
  };

  static int32_t duration_of(int64_t ticks);
  static uint32_t mark_of(const AVPacket& packet);
  bool same_bytes(const Packet& packet, const AVPacket& read) const;
  void find_runs(const IndexRules& rules);
  bool sort_frames(const IndexRules& rules);
  void number_frames();
  void find_entries();
  size_t frames_behind() const;
  void find_ticks();
  bool shown_before(const Packet& a, const Packet& b) const;

  std::vector<Packet> packets_;
  std::vector<int64_t> shown_;  // packets, by frame; valid where ordered_
  std::vector<Entry> entries_;  // ascending in both
  std::vector<int64_t> ticks_, run_shift_;
  int64_t frames_ = 0, last_duration_ = 0;
  enum class Order { kFile, kTime, kCodec } order_ = Order::kFile;
  bool ordered_ = false, lacks_times_ = false, packed_ = false, goes_back_ = false;
};

}  // namespace vl3
