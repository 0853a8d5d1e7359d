#pragma once
// When the frames of a clip are shown and at which of them decoding can begin: what a reader that wants a few
// frames of many has to know to leave the others out. Filled from packets, which is far quicker than
// decoding.

#include <cstdint>
#include <optional>
#include <vector>

namespace vl3 {

class FrameIndex {
 public:
  // Packets in the order of the file; time in the stream's own unit, absent where the container has none.
  // hidden: it is decoded and not shown.
  void add(std::optional<int64_t> time, bool key, bool hidden);
  // Sorts by time. False where packets and shown frames may not be one to one, and the index is of no use: a
  // time is absent or there twice, a packet is hidden, or the first one is not where decoding begins.
  bool finish();

  int64_t size() const noexcept { return static_cast<int64_t>(times_.size()); }
  // Of frame i, counted as shown.
  int64_t time(int64_t i) const { return times_[static_cast<size_t>(i)]; }
  // The last frame up to i that decoding can begin at.
  int64_t key_before(int64_t i) const;
  std::optional<int64_t> frame_at(int64_t time) const;

 private:
  std::vector<int64_t> times_, key_times_;
  bool doubtful_ = false;
};

}  // namespace vl3
