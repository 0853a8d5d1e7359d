#include "media/packet_index.h"

extern "C" {
#include <libavutil/avutil.h>
}

#include <algorithm>

namespace vl3 {
namespace {

constexpr int64_t kNoTime = AV_NOPTS_VALUE;
constexpr int kMarkBytes = 24;  // at either end of a packet
constexpr int64_t kSearch = 1 << 16;

}  // namespace

uint32_t PacketIndex::mark_of(const AVPacket& packet) {
  uint32_t mark = 2166136261u;
  const int size = packet.data == nullptr ? 0 : packet.size, head = std::min(size, kMarkBytes);
  for (int i = 0; i < head; ++i) mark = (mark ^ packet.data[i]) * 16777619u;
  for (int i = std::max(head, size - kMarkBytes); i < size; ++i) mark = (mark ^ packet.data[i]) * 16777619u;
  return mark;
}

int32_t PacketIndex::duration_of(int64_t ticks) {
  return static_cast<int32_t>(std::clamp<int64_t>(ticks, 0, INT32_MAX));
}

void PacketIndex::set_duration(int64_t packet, int64_t ticks) {
  packets_[static_cast<size_t>(packet)].duration = duration_of(ticks);
}

void PacketIndex::add(const AVPacket& packet, const PacketFacts& facts) {
  Packet entry{};
  entry.pts = packet.pts;
  entry.dts = packet.dts;
  entry.pos = packet.pos;
  entry.order = facts.order.value_or(0);
  entry.has_order = facts.order.has_value();
  entry.size = packet.size;
  entry.mark = mark_of(packet);
  entry.duration = duration_of(packet.duration);
  entry.key = (packet.flags & AV_PKT_FLAG_KEY) != 0;
  entry.discarded = (packet.flags & AV_PKT_FLAG_DISCARD) != 0;
  entry.shown = facts.shown > 0 && !entry.discarded;
  entry.entry = facts.entry;
  entry.second_field = facts.second_field;
  entry.restarts = facts.order_restarts;
  frames_ += entry.shown ? facts.shown : 0;
  packed_ = packed_ || facts.packed;
  lacks_times_ = lacks_times_ || (entry.shown && packet.pts == kNoTime);
  const int64_t before = packets_.empty() ? kNoTime : packets_.back().pts;
  goes_back_ =
      goes_back_ || (!entry.key && packet.pts != kNoTime && before != kNoTime && packet.pts < before);
  packets_.push_back(entry);
}

// Where clocks jump, and where the count of pictures begins anew.
void PacketIndex::find_runs(const IndexRules& rules) {
  int64_t before = kNoTime, step = 1, shift = 0;
  int32_t run = 0;
  run_shift_ = {0};
  for (Packet& packet : packets_) {
    // What leads to an edit lies before it in time, and behind the edit before it in the file.
    if (packet.dts != kNoTime && !packet.discarded) {
      const int64_t by = before == kNoTime ? 0 : packet.dts - before;
      const bool back = by < 0 && (packet.key || -by > rules.back_ticks);
      if (back || (rules.far_ticks > 0 && by > rules.far_ticks)) {
        shift += before + step - packet.dts;
        run_shift_.push_back(shift);
        ++run;
      } else if (by > 0) {
        step = by;
      }
      before = packet.dts;
    }
    if (order_ == Order::kCodec && packet.restarts) {
      run_shift_.push_back(shift);
      ++run;
    }
    packet.run = run;
  }
}

bool PacketIndex::shown_before(const Packet& a, const Packet& b) const {
  if (a.run != b.run) return a.run < b.run;
  return order_ == Order::kTime ? a.pts < b.pts : order_ == Order::kCodec ? a.order < b.order : false;
}

// False where the order is not to be had: two frames have one place, or one has none.
bool PacketIndex::sort_frames(const IndexRules& rules) {
  const auto before = [&](int64_t a, int64_t b) {
    return shown_before(packets_[static_cast<size_t>(a)], packets_[static_cast<size_t>(b)]);
  };
  bool counted = true;  // every picture has its place from the codec
  shown_.clear();
  for (int64_t i = 0; i < packets(); ++i) {
    const Packet& packet = packets_[static_cast<size_t>(i)];
    if (!packet.shown) continue;
    shown_.push_back(i);
    counted = counted && packet.has_order;
  }
  order_ = !rules.reorders ? Order::kFile : times_tell(rules) ? Order::kTime : Order::kCodec;
  for (;;) {
    find_runs(rules);
    if (packed_) return false;
    if (order_ == Order::kFile) return true;
    if (order_ == Order::kCodec && !counted) return false;
    std::stable_sort(shown_.begin(), shown_.end(), before);
    const auto same = std::adjacent_find(
        shown_.begin(), shown_.end(), [&](int64_t a, int64_t b) { return !before(a, b) && !before(b, a); });
    if (same == shown_.end()) return true;
    if (order_ == Order::kCodec) return false;
    order_ = Order::kCodec;
    std::sort(shown_.begin(), shown_.end());
  }
}

void PacketIndex::finish(const IndexRules& rules) {
  ordered_ = sort_frames(rules);
  if (ordered_) {
    number_frames();
    find_entries();
  }
  find_ticks();
}

void PacketIndex::number_frames() {
  for (Packet& packet : packets_) packet.frame = -1;
  frames_ = static_cast<int64_t>(shown_.size());
  for (size_t i = 0; i < shown_.size(); ++i)
    packets_[static_cast<size_t>(shown_[i])].frame = static_cast<int32_t>(i);
  for (size_t i = 1; i < packets_.size(); ++i) {
    if (packets_[i].second_field) packets_[i].frame = packets_[i - 1].frame;
  }
}

void PacketIndex::find_entries() {
  entries_.clear();
  int64_t passed = 0;  // shown packets so far, in the order of the file
  for (int64_t i = 0; i < packets(); ++i) {
    const Packet& packet = packets_[static_cast<size_t>(i)];
    int64_t frame = packet.shown ? packet.frame : -1;
    if (packet.entry && !packet.shown && order_ == Order::kFile) frame = passed;
    const bool placed = order_ == Order::kTime ? packet.pts != kNoTime : packet.has_order;
    if (packet.entry && !packet.shown && order_ != Order::kFile && placed) {
      const auto next = std::partition_point(shown_.begin(), shown_.end(), [&](int64_t k) {
        return shown_before(packets_[static_cast<size_t>(k)], packet);
      });
      frame = next - shown_.begin();
    }
    passed += packet.shown;
    if (packet.entry && frame >= 0 && (entries_.empty() || frame >= entries_.back().frame))
      entries_.push_back({i, frame});
  }
}

// How many packets a decoder takes in before the frame that it then shows.
size_t PacketIndex::frames_behind() const {
  int64_t decoded = 0, behind = 0;
  for (const Packet& packet : packets_) {
    if (packet.shown) behind = std::max(behind, decoded++ - packet.frame);
  }
  return static_cast<size_t>(behind);
}

void PacketIndex::find_ticks() {
  ticks_.clear();
  last_duration_ = 0;
  if (packed_ && lacks_times_ && frames_ == 0) return;
  for (const Packet& packet : packets_) {
    if (!packet.shown) continue;
    const int64_t time = lacks_times_ ? packet.dts : packet.pts;
    if (time == kNoTime) {
      ticks_.clear();
      return;
    }
    ticks_.push_back(time + run_shift_[static_cast<size_t>(packet.run)]);
    last_duration_ = packet.duration;
  }
  if (static_cast<int64_t>(ticks_.size()) != frames_) ticks_.clear();  // several frames to a packet
  if (ticks_.empty()) return;
  std::sort(ticks_.begin(), ticks_.end());
  // A frame is shown when as many packets more are decoded; the last ones go on with the last step.
  const size_t behind = lacks_times_ && ordered_ ? frames_behind() : 0;
  if (behind > 0) {
    const int64_t step = ticks_.back() - ticks_[ticks_.size() - 2];
    ticks_.erase(ticks_.begin(), ticks_.begin() + static_cast<ptrdiff_t>(behind));
    for (size_t i = 0; i < behind; ++i) ticks_.push_back(ticks_.back() + step);
  }
  const int64_t first = ticks_[0];
  for (int64_t& tick : ticks_) tick -= first;
}

bool PacketIndex::is_discarded(int64_t packet) const {
  return packet >= 0 && packet < packets() && packets_[static_cast<size_t>(packet)].discarded;
}

bool PacketIndex::begins_edit(int64_t packet) const {
  if (packet < 1 || packet >= packets()) return false;
  const Packet &before = packets_[static_cast<size_t>(packet - 1)],
               &here = packets_[static_cast<size_t>(packet)];
  return here.discarded && here.key && here.dts != kNoTime && here.dts < before.dts;
}

int64_t PacketIndex::last_packet_of(int64_t frame) const {
  int64_t packet = shown_[static_cast<size_t>(frame)];
  while (packet + 1 < packets() && frame_of(packet + 1) == frame) ++packet;
  return packet;
}

PacketIndex::Entry PacketIndex::entry_before(int64_t frame) const {
  const auto next = std::partition_point(entries_.begin(), entries_.end(),
                                         [&](const Entry& entry) { return entry.frame <= frame; });
  return next == entries_.begin() ? Entry{0, 0} : *std::prev(next);
}

bool PacketIndex::head_is_doubtful() const {
  return entries_.empty() || entries_[0].packet > 0 || entries_[0].frame > 0;
}

void PacketIndex::set_shown(std::span<const int64_t> packets) {
  for (Packet& packet : packets_) packet.shown = false;
  shown_.clear();
  for (const int64_t i : packets) {
    packets_[static_cast<size_t>(i)].shown = true;
    shown_.push_back(i);
  }
  lacks_times_ = std::any_of(packets.begin(), packets.end(),
                             [&](int64_t i) { return packets_[static_cast<size_t>(i)].pts == kNoTime; });
  ordered_ = true;
  number_frames();
  find_entries();
  find_ticks();
}

void PacketIndex::set_head(std::vector<int64_t> packets) {
  const int64_t next = frame_of(packets.back()) + 1;
  packets.insert(packets.end(), shown_.begin() + static_cast<ptrdiff_t>(next), shown_.end());
  if (packets.size() < shown_.size()) set_shown(packets);
}

void PacketIndex::give_up_order(int64_t more_frames) {
  frames_ += more_frames;
  ordered_ = false;
  for (; more_frames > 0 && ticks_.size() > 1; --more_frames)
    ticks_.push_back(ticks_.back() + (ticks_.back() - ticks_[ticks_.size() - 2]));
}

PacketIndex::Place PacketIndex::place(int64_t packet) const {
  const Packet& found = packets_[static_cast<size_t>(packet)];
  return {found.pts, found.dts, found.pos};
}

bool PacketIndex::same_bytes(const Packet& packet, const AVPacket& read) const {
  return packet.size == read.size && packet.mark == mark_of(read);
}

bool PacketIndex::matches(int64_t packet, const AVPacket& read) const {
  return packet < packets() && same_bytes(packets_[static_cast<size_t>(packet)], read);
}

bool PacketIndex::is(int64_t packet, const AVPacket& read) const {
  const Packet& known = packets_[static_cast<size_t>(packet)];
  return same_bytes(known, read) && known.pts == read.pts && known.dts == read.dts && known.pos == read.pos;
}

std::optional<int64_t> PacketIndex::find(const AVPacket& read, int64_t near) const {
  const auto is_it = [&](int64_t i) {
    if (i < 0 || i >= packets()) return false;
    const Packet& packet = packets_[static_cast<size_t>(i)];
    const bool there =
        (packet.pos >= 0 && packet.pos == read.pos) || (packet.dts != kNoTime && packet.dts == read.dts);
    return there && read.size > 0 && same_bytes(packet, read);
  };
  for (int64_t off = 0; off <= kSearch; ++off) {
    if (is_it(near - off)) return near - off;
    if (is_it(near + off)) return near + off;
  }
  return std::nullopt;
}

}  // namespace vl3
