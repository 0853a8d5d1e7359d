#include "vl3/media_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "base/check.h"
#include "base/file.h"
#include "media/source_bytes.h"

namespace vl3 {

struct MediaSource::Content {
  Content() = default;
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;
  ~Content() {
    if (descriptor >= 0) ::close(descriptor);
  }

  Kind kind = Kind::kFile;
  std::string name;
  std::filesystem::path path = {};
  std::string bytes = {};
  std::shared_ptr<const std::byte> lent = nullptr;  // in place of bytes
  size_t lent_size = 0;
  std::vector<Image> frames = {};
  std::vector<double> times_s = {};
  int descriptor = -1;
  uint64_t device = 0, inode = 0, size = 0;  // of an open file
};

MediaSource::MediaSource(std::shared_ptr<const Content> content) : content_(std::move(content)) {}

MediaSource::MediaSource(std::filesystem::path path) {
  auto content = std::make_shared<Content>();
  content->name = path.string();
  content->path = std::move(path);
  content_ = std::move(content);
}

MediaSource MediaSource::bytes(std::string bytes, std::string name) {
  require(!bytes.empty(), ErrorCode::kInvalidArgument, "[{}] has no data", name);
  auto content = std::make_shared<Content>();
  content->kind = Kind::kBytes;
  content->name = std::move(name);
  content->bytes = std::move(bytes);
  return MediaSource(std::move(content));
}

MediaSource MediaSource::lent_bytes(std::shared_ptr<const std::byte> data, size_t size, std::string name) {
  require(data != nullptr && size > 0, ErrorCode::kInvalidArgument, "[{}] has no data", name);
  auto content = std::make_shared<Content>();
  content->kind = Kind::kBytes;
  content->name = std::move(name);
  content->lent = std::move(data);
  content->lent_size = size;
  return MediaSource(std::move(content));
}

MediaSource MediaSource::frames(std::vector<Image> frames, std::vector<double> times_s, std::string name) {
  require(!frames.empty(), ErrorCode::kInvalidArgument, "[{}] has no frames", name);
  require(times_s.empty() || times_s.size() == frames.size(), ErrorCode::kInvalidArgument,
          "[{}] has {} frames and {} times", name, frames.size(), times_s.size());
  for (size_t i = 0; i < frames.size(); ++i) {
    const Image& frame = frames[i];
    require(frame.height > 0 && frame.width > 0, ErrorCode::kInvalidArgument,
            "[{}] frame {} has {} x {} pixels", name, i, frame.width, frame.height);
    const int64_t bytes = checked_mul(checked_mul(frame.height, frame.width, "pixels"), 3, "bytes");
    require(
        static_cast<int64_t>(frame.pixels().size()) == bytes && (frame.lent == nullptr || frame.rgb.empty()),
        ErrorCode::kInvalidArgument, "[{}] frame {} of {} x {} pixels comes with {} bytes", name, i,
        frame.width, frame.height, frame.rgb.size());
    require(frame.height == frames[0].height && frame.width == frames[0].width, ErrorCode::kInvalidArgument,
            "[{}] frame {} has {} x {} pixels; the first has {} x {}", name, i, frame.width, frame.height,
            frames[0].width, frames[0].height);
  }
  for (size_t i = 0; i < times_s.size(); ++i) {
    require(times_s[i] >= (i == 0 ? 0 : times_s[i - 1]) && times_s[i] <= kLatest_s,
            ErrorCode::kInvalidArgument,
            "[{}] the time of frame {} is {} s; times should be from 0 to {} and ascend", name, i, times_s[i],
            kLatest_s);
  }
  auto content = std::make_shared<Content>();
  content->kind = Kind::kFrames;
  content->name = std::move(name);
  content->frames = std::move(frames);
  content->times_s = std::move(times_s);
  return MediaSource(std::move(content));
}

MediaSource MediaSource::open_file(int descriptor, std::string name) {
  auto content = std::make_shared<Content>();
  content->kind = Kind::kOpenFile;
  content->name = std::move(name);
  content->descriptor = descriptor;
  struct stat status {};
  require(::fstat(descriptor, &status) == 0, ErrorCode::kIo, "[{}] cannot be read: {}", content->name,
          std::generic_category().message(errno));
  require(S_ISREG(status.st_mode), ErrorCode::kIo, "[{}] is not a regular file", content->name);
  content->device = status.st_dev;
  content->inode = status.st_ino;
  content->size = static_cast<uint64_t>(status.st_size);
  return MediaSource(std::move(content));
}

MediaSource MediaSource::decoded_by(std::shared_ptr<MediaDecoder> decoder) const {
  MediaSource source = *this;
  source.decoder_ = std::move(decoder);
  return source;
}

MediaSource::Kind MediaSource::kind() const noexcept { return content_->kind; }
const std::string& MediaSource::name() const noexcept { return content_->name; }
const std::filesystem::path& MediaSource::path() const noexcept { return content_->path; }
std::span<const std::byte> MediaSource::data() const noexcept {
  if (content_->lent != nullptr) return {content_->lent.get(), content_->lent_size};
  return std::as_bytes(std::span(content_->bytes));
}
const std::vector<Image>& MediaSource::pictures() const noexcept { return content_->frames; }
const std::vector<double>& MediaSource::times_s() const noexcept { return content_->times_s; }

int MediaSource::descriptor() const noexcept { return content_->descriptor; }
uint64_t MediaSource::size_bytes() const {
  return kind() == Kind::kOpenFile ? content_->size : data().size();
}

bool MediaSource::operator==(const MediaSource& other) const {
  if (decoder_ != other.decoder_) return false;
  if (content_ == other.content_) return true;
  if (kind() != other.kind()) return false;
  if (kind() == Kind::kFile) return path() == other.path();
  if (kind() == Kind::kOpenFile)
    return content_->device == other.content_->device && content_->inode == other.content_->inode;
  if (kind() == Kind::kBytes) return std::ranges::equal(data(), other.data());
  return times_s() == other.times_s() &&
         std::equal(pictures().begin(), pictures().end(), other.pictures().begin(), other.pictures().end(),
                    [](const Image& a, const Image& b) {
                      return a.height == b.height && a.width == b.width &&
                             std::ranges::equal(a.pixels(), b.pixels());
                    });
}

namespace {

// So many bytes of an open file from offset on, fewer at its end.
std::string read_at(const MediaSource& source, uint64_t offset, size_t bytes) {
  std::string part(bytes, '\0');
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(source.descriptor(), part.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    require(got >= 0, ErrorCode::kIo, "[{}] cannot be read: {}", source.name(),
            std::generic_category().message(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  part.resize(done);
  return part;
}

}  // namespace

void read_in_pieces(const MediaSource& source, const std::function<void(std::span<const std::byte>)>& piece) {
  constexpr size_t kPiece = 1 << 20;
  if (source.kind() == MediaSource::Kind::kBytes) return piece(source.data());
  if (source.kind() != MediaSource::Kind::kOpenFile) return read_in_pieces(source.path(), piece);
  for (uint64_t at = 0;;) {
    const std::string part = read_at(source, at, kPiece);
    if (part.empty()) return;
    piece(std::as_bytes(std::span(part)));
    at += part.size();
  }
}

std::string part_of(const MediaSource& source, uint64_t offset, size_t bytes) {
  if (source.kind() == MediaSource::Kind::kBytes) {
    const auto all = source.data();
    if (offset >= all.size()) return {};
    const auto part = all.subspan(static_cast<size_t>(offset), std::min<size_t>(bytes, all.size() - offset));
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  if (source.kind() == MediaSource::Kind::kOpenFile) return read_at(source, offset, bytes);
  if (source.kind() != MediaSource::Kind::kFile) return {};
  std::ifstream file(source.path(), std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  std::string part(bytes, '\0');
  file.read(part.data(), static_cast<std::streamsize>(bytes));
  part.resize(static_cast<size_t>(file.gcount()));
  return part;
}

SourceBytes bytes_of(const MediaSource& source, const MediaLimits& limits) {
  if (source.kind() == MediaSource::Kind::kBytes) return {source, {}, source.data()};
  require(source.kind() != MediaSource::Kind::kFrames, ErrorCode::kInternal, "[{}] is frames, not bytes",
          source.name());
  const auto most = static_cast<uint64_t>(std::max<int64_t>(limits.max_file_bytes, 0));
  std::shared_ptr<const std::string> owned;
  if (source.kind() == MediaSource::Kind::kOpenFile) {
    require(source.size_bytes() <= most, ErrorCode::kLimitExceeded,
            "[{}] has {} bytes, above the limit max_file_bytes of {}", source.name(), source.size_bytes(),
            most);
    owned = std::make_shared<const std::string>(read_at(source, 0, source.size_bytes()));
  } else {
    owned = std::make_shared<const std::string>(read_file(source.path(), most));
  }
  const auto bytes = std::as_bytes(std::span(*owned));
  return {source, std::move(owned), bytes};
}

}  // namespace vl3
