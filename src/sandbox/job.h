#pragma once
// What a decoder is asked to do, once in its life.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/confine.h"
#include "sandbox/wire.h"
#include "vl3/media_limits.h"
#include "vl3/media_source.h"

namespace vl3::sandbox {

enum class Task : uint8_t { kProbe, kPicture, kClip };

struct Job {
  Task task = Task::kProbe;
  MediaLimits limits;
  Confinement confinement;
  bool upright = false;                 // of a clip
  std::optional<double> pictures_rate;  // likewise
  std::vector<MediaSource> sources;
};

// Sources travel as descriptors; bytes in memory go through memory that is sealed. Throws what opening a file
// throws, kUnsupported for a folder or frames, kLimitExceeded for more files than one message takes, and kIo.
void send_job(int socket, const Job& job);
// Of a kJob message, from the program, which is trusted.
Job read_job(Message message);

// Memory that both sides see, made by the program so that its size cannot change under it.
class Room {
 public:
  Room() = default;
  // Throws kOutOfMemory.
  static Room make(size_t bytes);
  static Room open(Fd fd, size_t bytes);  // to write, in the decoder
  Room(Room&& other) noexcept;
  Room& operator=(Room&& other) noexcept;
  ~Room();
  uint8_t* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }
  int fd() const noexcept { return fd_.get(); }
  void close_fd() { fd_ = Fd(); }

 private:
  Fd fd_;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace vl3::sandbox
