#include "generate/stop_strings.h"

#include <algorithm>
#include <utility>

namespace vl3 {
namespace {

// Length of the longest end of text with which stop begins, the whole of stop excluded.
size_t open_prefix(std::string_view text, std::string_view stop) {
  for (size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (text.substr(text.size() - length) == stop.substr(0, length)) return length;
  }
  return 0;
}

}  // namespace

std::string StopMatcher::push(std::string_view piece) {
  held_ += piece;
  size_t begin = std::string::npos;
  for (const std::string& stop : *stops_) {
    const size_t at = held_.find(stop, passed_ < stop.size() ? 0 : passed_ + 1 - stop.size());
    if (at == std::string::npos) continue;
    if (at < begin || (at == begin && stop.size() > matched_->size())) begin = at, matched_ = &stop;
  }
  if (matched_ != nullptr) {
    std::string shown = held_.substr(0, begin);
    held_.clear();
    return shown;
  }
  return show_settled();
}

std::string StopMatcher::pass(std::string_view piece) {
  held_ += piece;
  passed_ = held_.size();
  return show_settled();
}

// All but what may still become a stop string.
std::string StopMatcher::show_settled() {
  size_t held_back = 0;
  for (const std::string& stop : *stops_) held_back = std::max(held_back, open_prefix(held_, stop));
  std::string shown = held_.substr(0, held_.size() - held_back);
  held_.erase(0, shown.size());
  passed_ -= std::min(passed_, shown.size());
  return shown;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace vl3
