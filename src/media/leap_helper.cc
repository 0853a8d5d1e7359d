#include "media/leap_helper.h"

#include <chrono>

#include "media/video_file.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

constexpr size_t kMostReady = 2;  // frames that wait to be taken
constexpr std::chrono::milliseconds kPatience(20);

}  // namespace

LeapHelper::LeapHelper(std::unique_ptr<VideoFile> file, std::vector<int64_t> indices)
    : file_(std::move(file)), thread_([this, indices = std::move(indices)] { work(indices); }) {}

LeapHelper::~LeapHelper() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void LeapHelper::work(const std::vector<int64_t>& indices) {
  try {
    file_->read_by_leaps(
        indices, true, [this](size_t, const Image& frame) { put(frame); },
        [this] {
          const std::lock_guard lock(mutex_);
          return stopped_;
        });
  } catch (const std::exception&) {  // whoever waits reads in another way, and says what is wrong
  }
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void LeapHelper::put(const Image& frame) {
  Image copy = frame;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_ || ready_.size() < kMostReady; });
  ready_.push_back(std::move(copy));
  decoded_ = file_->frames_decoded();
  changed_.notify_all();
}

std::optional<Image> LeapHelper::next(const std::function<void()>& waiting) {
  std::unique_lock lock(mutex_);
  while (ready_.empty() && !ended_) {
    changed_.wait_for(lock, kPatience);
    lock.unlock();
    waiting();
    lock.lock();
  }
  if (ready_.empty()) return std::nullopt;
  Image frame = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return frame;
}

int64_t LeapHelper::frames_decoded() {
  const std::lock_guard lock(mutex_);
  return decoded_;
}

}  // namespace vl3
