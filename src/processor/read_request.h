#pragma once
// A request whose messages were read: what the template gets, and the media, each different one once.

#include <algorithm>
#include <cstddef>
#include <vector>

#include "processor/messages.h"
#include "vl3/json.h"

namespace vl3 {

struct DistinctMedia {
  std::vector<MediaItem> items;
  std::vector<size_t> shown;  // for every place in the prompts, in order, its item

  void add(const MediaItem& item) {
    const auto found = std::find(items.begin(), items.end(), item);
    shown.push_back(static_cast<size_t>(found - items.begin()));
    if (found == items.end()) items.push_back(item);
  }
};

struct ReadRequest {
  struct Conversation {
    Json messages;               // as the chat template wants them
    std::vector<bool> is_video;  // of each of its places, in order
  };
  std::vector<Conversation> conversations;
  DistinctMedia pictures, clips;
};

}  // namespace vl3
