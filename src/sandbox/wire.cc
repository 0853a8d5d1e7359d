#include "sandbox/wire.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace vl3::sandbox {
namespace {

constexpr size_t kMaxText = 4096, kMaxNotes = 1000;
constexpr double kLatest_s = 1e9;
constexpr uint8_t kKinds = static_cast<uint8_t>(MessageKind::kError);

struct Head {
  uint32_t kind = 0, bytes = 0;
};

[[noreturn]] void malformed() { fail(ErrorCode::kFormat, "[sandbox] a decoder said what no decoder says"); }
void expect(bool condition) {
  if (!condition) malformed();
}

// False when the other side is gone.
bool read_all(int socket, char* to, size_t bytes, const std::function<int()>& wait) {
  while (bytes > 0) {
    const ssize_t got = ::recv(socket, to, bytes, MSG_DONTWAIT);
    if (got > 0) {
      to += got;
      bytes -= static_cast<size_t>(got);
    } else if (got < 0 && errno == EAGAIN) {
      pollfd ready{socket, POLLIN, 0};
      ::poll(&ready, 1, wait ? wait() : -1);
    } else if (got == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

void check_size(int64_t height, int64_t width, const MediaLimits& limits) {
  expect(height > 0 && width > 0);
  require(height <= limits.max_pixels / width, ErrorCode::kLimitExceeded,
          "[sandbox] {} x {} pixels are above max_pixels, {}", width, height, limits.max_pixels);
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}
int Fd::release() noexcept { return std::exchange(fd_, -1); }

Writer& Writer::add_text(std::string_view text) {
  add(static_cast<uint64_t>(text.size()));
  body_ += text;
  return *this;
}

void Reader::copy(void* to, size_t bytes) {
  expect(bytes <= body_.size());
  if (bytes > 0) std::memcpy(to, body_.data(), bytes);
  body_.remove_prefix(bytes);
}

void Reader::check_count(uint64_t count, size_t most) { expect(count <= most); }

std::string Reader::get_text(size_t most) {
  const uint64_t bytes = get<uint64_t>();
  check_count(bytes, std::min(most, body_.size()));
  std::string text(body_.substr(0, static_cast<size_t>(bytes)));
  body_.remove_prefix(text.size());
  return text;
}

std::string shown_text(std::string text, size_t most) {
  if (text.size() > most) text.resize(most);
  for (char& c : text)
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) c = ' ';
  return text;
}

void add(Writer& writer, const MediaLimits& limits) {
  // By binding: a field that is added and forgotten here does not compile.
  const auto& [max_pixels, max_file_bytes, max_allocation_bytes, max_frames, max_duration_s,
               max_packet_bytes] = limits;
  for (const int64_t value : {max_pixels, max_file_bytes, max_allocation_bytes, max_frames, max_packet_bytes})
    writer.add(value);
  writer.add(max_duration_s);
}

MediaLimits get_limits(Reader& reader) {
  MediaLimits limits;
  for (int64_t* value : {&limits.max_pixels, &limits.max_file_bytes, &limits.max_allocation_bytes,
                         &limits.max_frames, &limits.max_packet_bytes})
    *value = reader.get<int64_t>();
  limits.max_duration_s = reader.get<double>();
  return limits;
}

void add(Writer& writer, const ImageInfo& info) {
  writer.add(info.height).add(info.width).add(static_cast<int32_t>(info.format)).add_text(info.mode);
  writer.add(static_cast<int32_t>(info.orientation)).add(info.frames);
}

ImageInfo get_image_info(Reader& reader, const MediaLimits& limits) {
  ImageInfo info;
  info.height = reader.get<int64_t>();
  info.width = reader.get<int64_t>();
  check_size(info.height, info.width, limits);
  const auto format = reader.get<int32_t>();
  expect(format >= 0 && format <= static_cast<int32_t>(ImageFormat::kDds));
  info.format = static_cast<ImageFormat>(format);
  info.mode = shown_text(reader.get_text(kMaxText), 32);
  info.orientation = reader.get<int32_t>();
  expect(info.orientation >= 1 && info.orientation <= 8);
  info.frames = reader.get<int64_t>();
  expect(info.frames >= 1);
  return info;
}

void add(Writer& writer, const VideoReader& reader) {
  const VideoInfo& info = reader.info();
  writer.add(info.height).add(info.width).add(uint8_t{info.turn.mirrored}).add(int32_t{info.turn.quarters});
  writer.add(uint8_t{info.upright}).add(info.total_frames).add(uint8_t{info.fps.has_value()});
  writer.add(info.fps.value_or(0)).add(info.duration_s).add_list(std::span<const double>(info.times_s));
  writer.add_text(info.format);
  const size_t notes = std::min(reader.notes().size(), kMaxNotes);
  writer.add(static_cast<uint64_t>(notes));
  for (size_t i = 0; i < notes; ++i) writer.add_text(std::string_view(reader.notes()[i]).substr(0, kMaxText));
  writer.add(reader.frames_decoded());
}

ClipState get_clip_state(Reader& reader, const MediaLimits& limits) {
  ClipState state;
  VideoInfo& info = state.info;
  info.height = reader.get<int64_t>();
  info.width = reader.get<int64_t>();
  check_size(info.height, info.width, limits);
  info.turn.mirrored = reader.get_flag();
  info.turn.quarters = reader.get<int32_t>();
  expect(info.turn.quarters >= 0 && info.turn.quarters <= 3);
  info.upright = reader.get_flag();
  info.total_frames = reader.get<int64_t>();
  expect(info.total_frames >= 1);
  require(info.total_frames <= limits.max_frames, ErrorCode::kLimitExceeded,
          "[sandbox] {} frames are more than max_frames, {}", info.total_frames, limits.max_frames);
  const bool has_rate = reader.get_flag();
  const auto rate = reader.get<double>();
  expect(std::isfinite(rate) && rate >= 0 && (!has_rate || rate > 0));
  if (has_rate) info.fps = rate;
  info.duration_s = reader.get<double>();
  expect(std::isfinite(info.duration_s) && info.duration_s >= 0);
  require(info.duration_s <= limits.max_duration_s, ErrorCode::kLimitExceeded,
          "[sandbox] {:.1f} s are more than max_duration_s, {:.1f}", info.duration_s, limits.max_duration_s);
  info.times_s = reader.get_list<double>(static_cast<size_t>(info.total_frames));
  expect(info.times_s.empty() || static_cast<int64_t>(info.times_s.size()) == info.total_frames);
  for (const double time_s : info.times_s) expect(std::abs(time_s) <= kLatest_s);
  info.format = shown_text(reader.get_text(kMaxText), 200);
  const auto notes = reader.get<uint64_t>();
  expect(notes <= kMaxNotes);
  for (uint64_t i = 0; i < notes; ++i) state.notes.push_back(shown_text(reader.get_text(kMaxText)));
  state.frames_decoded = reader.get<int64_t>();
  return state;
}

void send(int socket, MessageKind kind, std::string_view body, std::span<const int> fds) {
  require(body.size() <= kMaxBody && fds.size() <= kMaxFds, ErrorCode::kLimitExceeded,
          "[sandbox] a message of {} bytes and {} files is too large", body.size(), fds.size());
  Head head{static_cast<uint32_t>(kind), static_cast<uint32_t>(body.size())};
  iovec parts[2] = {{&head, sizeof head}, {const_cast<char*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  std::string control;
  if (!fds.empty()) {
    control.resize(CMSG_SPACE(fds.size_bytes()));
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  while (parts[0].iov_len + parts[1].iov_len > 0) {
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    require(sent > 0, ErrorCode::kIo, "[sandbox] the other side is gone: {}",
            std::generic_category().message(errno));
    message.msg_control = nullptr;
    message.msg_controllen = 0;
    auto left = static_cast<size_t>(sent);
    for (iovec& part : parts) {
      const size_t of_part = std::min(left, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + of_part;
      part.iov_len -= of_part;
      left -= of_part;
    }
  }
}

std::optional<Message> receive(int socket, const std::function<int()>& wait) {
  Head head;
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))];
  iovec part{&head, sizeof head};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t got;
  while ((got = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return {};
    pollfd ready{socket, POLLIN, 0};
    ::poll(&ready, 1, wait ? wait() : -1);
  }
  if (got == 0) return {};
  Message message;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      message.fds.emplace_back(fd);
    }
  }
  const auto done = static_cast<size_t>(got);
  if (!read_all(socket, reinterpret_cast<char*>(&head) + done, sizeof head - done, wait)) return {};
  expect(head.kind <= kKinds && head.bytes <= kMaxBody && (header.msg_flags & MSG_CTRUNC) == 0);
  message.kind = static_cast<MessageKind>(head.kind);
  message.body.resize(head.bytes);
  if (!read_all(socket, message.body.data(), head.bytes, wait)) return {};
  return message;
}

}  // namespace vl3::sandbox
