#include "media/frame_index.h"

#include <algorithm>

namespace vl3 {

void FrameIndex::add(std::optional<int64_t> time, bool key, bool hidden) {
  doubtful_ = doubtful_ || !time || hidden || (times_.empty() ? !key : time < times_[0]);
  times_.push_back(time.value_or(0));
  if (key) key_times_.push_back(times_.back());
}

bool FrameIndex::finish() {
  std::sort(times_.begin(), times_.end());
  std::sort(key_times_.begin(), key_times_.end());
  return !doubtful_ && std::adjacent_find(times_.begin(), times_.end()) == times_.end();
}

int64_t FrameIndex::key_before(int64_t i) const {
  const int64_t key = *std::prev(std::upper_bound(key_times_.begin(), key_times_.end(), time(i)));
  return *frame_at(key);
}

std::optional<int64_t> FrameIndex::frame_at(int64_t time) const {
  const auto found = std::lower_bound(times_.begin(), times_.end(), time);
  if (found == times_.end() || *found != time) return std::nullopt;
  return found - times_.begin();
}

}  // namespace vl3
