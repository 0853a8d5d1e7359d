#pragma once
// Some of the frames of a clip, decoded on a thread of its own while others are decoded elsewhere.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "vl3/image.h"

namespace vl3 {

class VideoFile;

class LeapHelper {
 public:
  // file: a reader of the clip that nobody else uses. indices: ascending, each once.
  LeapHelper(std::unique_ptr<VideoFile> file, std::vector<int64_t> indices);
  ~LeapHelper();  // stops it
  LeapHelper(const LeapHelper&) = delete;
  LeapHelper& operator=(const LeapHelper&) = delete;

  // The next of them; nothing where the rest cannot be had so. Waits for it; `waiting` is
  // called now and then, and may throw.
  std::optional<Image> next(const std::function<void()>& waiting);
  // Frames decoded so far.
  int64_t frames_decoded();

 private:
  void work(const std::vector<int64_t>& indices);
  void put(const Image& frame);

  std::unique_ptr<VideoFile> file_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Image> ready_;
  int64_t decoded_ = 0;
  bool stopped_ = false, ended_ = false;
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace vl3
