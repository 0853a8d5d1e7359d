#pragma once
// Messages between the program and its decoders, and descriptors with them. What a decoder says is foreign:
// it may have been taken over by what it decoded. Whoever reads checks every length and every number.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "vl3/image.h"
#include "vl3/media_limits.h"
#include "vl3/video.h"

namespace vl3::sandbox {

// A file descriptor with one owner.
class Fd {
 public:
  explicit Fd(int fd = -1) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const noexcept { return fd_; }
  int release() noexcept;
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

// program → decoder: kJob first, then kRoom as asked for, kRead (of a clip) and kTaken, a frame's place in
// the room being free again. decoder → program: the others.
enum class MessageKind : uint32_t {
  kJob,
  kRoom,
  kRead,
  kTaken,
  kInfo,
  kClip,
  kNeedRoom,
  kRows,
  kFrame,
  kDone,
  kError
};

struct Message {
  MessageKind kind = MessageKind::kDone;
  std::string body;
  std::vector<Fd> fds;
};

inline constexpr size_t kMaxBody = size_t{64} << 20;  // the times of frames are the most
inline constexpr size_t kMaxFds = 250;                // of one message; the kernel takes 253

// Plain values one after the other, in this machine's order: both ends are the same program.
class Writer {
 public:
  template <class T>
  Writer& add(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    body_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Writer& add_text(std::string_view text);
  template <class T>
  Writer& add_list(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    add(static_cast<uint64_t>(values.size()));
    body_.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    return *this;
  }
  std::string take() { return std::move(body_); }

 private:
  std::string body_;
};

// Throws kFormat where the body is too short for what is read of it.
class Reader {
 public:
  explicit Reader(std::string_view body) : body_(body) {}
  template <class T>
  T get() {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    T value;
    copy(&value, sizeof value);
    return value;
  }
  bool get_flag() { return get<uint8_t>() != 0; }
  std::string get_text(size_t most);
  template <class T>
  std::vector<T> get_list(size_t most) {
    static_assert(std::is_arithmetic_v<T>);
    const uint64_t count = get<uint64_t>();
    check_count(count, std::min(most, body_.size() / sizeof(T)));
    std::vector<T> values(static_cast<size_t>(count));
    copy(values.data(), values.size() * sizeof(T));
    return values;
  }

 private:
  void copy(void* to, size_t bytes);
  static void check_count(uint64_t count, size_t most);
  std::string_view body_;
};

void add(Writer& writer, const MediaLimits& limits);
MediaLimits get_limits(Reader& reader);
void add(Writer& writer, const ImageInfo& info);
// Throws kFormat for a size that is none and kLimitExceeded above limits.max_pixels.
ImageInfo get_image_info(Reader& reader, const MediaLimits& limits);
// What a person reads: without control characters, and not more than that.
std::string shown_text(std::string text, size_t most = 2000);

// What a reader of clips says of its clip.
struct ClipState {
  VideoInfo info;
  std::vector<std::string> notes;
  int64_t frames_decoded = 0;
};
void add(Writer& writer, const VideoReader& reader);
// Checked against the limits as the reader should have done. Throws kFormat and kLimitExceeded.
ClipState get_clip_state(Reader& reader, const MediaLimits& limits);

// Throws kIo where the other side is gone.
void send(int socket, MessageKind kind, std::string_view body, std::span<const int> fds = {});

// The next message; nothing when the other side is gone, or in the middle of one. wait: asked while there is
// nothing to read, with how long the next wait may be in milliseconds as its result, -1 for any time; it
// throws to give up. Null: waits for any time. Throws kFormat for a message that is none.
std::optional<Message> receive(int socket, const std::function<int()>& wait = nullptr);

}  // namespace vl3::sandbox
