#include "sandbox/job.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace vl3::sandbox {
namespace {

constexpr size_t kMaxName = 4096;

Fd new_memory() {
  Fd fd(::memfd_create("vl3-media", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  require(static_cast<bool>(fd), ErrorCode::kOutOfMemory, "[sandbox] no memory to share: {}",
          std::generic_category().message(errno));
  return fd;
}

void write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    require(wrote > 0, ErrorCode::kOutOfMemory, "[sandbox] no memory for what is decoded");
    bytes = bytes.subspan(static_cast<size_t>(wrote));
  }
}

Fd open_path(const MediaSource& source) {
  Fd fd(::open(source.path().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const int error = errno;
  require(static_cast<bool>(fd), error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
          "[{}] cannot open: {}", source.name(), std::generic_category().message(error));
  return fd;
}

}  // namespace

void send_job(int socket, const Job& job) {
  Writer writer;
  writer.add(job.task);
  add(writer, job.limits);
  writer.add(job.confinement.memory_bytes).add(int32_t{job.confinement.cpu_s}).add(uint8_t{job.upright});
  writer.add(uint8_t{job.pictures_rate.has_value()}).add(job.pictures_rate.value_or(0));
  writer.add(static_cast<uint64_t>(job.sources.size()));
  std::vector<int> fds;
  std::vector<Fd> own;
  uint64_t packed = 0;  // bytes of all sources in memory
  int memory = -1;
  for (const MediaSource& source : job.sources) {
    writer.add_text(std::string_view(source.name()).substr(0, kMaxName));
    require(source.kind() != MediaSource::Kind::kFrames, ErrorCode::kUnsupported,
            "[{}] is frames, which are decoded already", source.name());
    const bool bytes = source.kind() == MediaSource::Kind::kBytes;
    writer.add(uint8_t{bytes});
    if (!bytes) {
      int fd = source.descriptor();
      if (fd < 0) fd = own.emplace_back(open_path(source)).get();
      writer.add(static_cast<uint64_t>(fds.size()));
      fds.push_back(fd);
      continue;
    }
    if (memory < 0) memory = own.emplace_back(new_memory()).get();
    write_all(memory, source.data());
    writer.add(packed).add(source.size_bytes());
    packed += source.size_bytes();
  }
  if (memory >= 0) {
    ::fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    fds.push_back(memory);
  }
  require(fds.size() <= kMaxFds, ErrorCode::kLimitExceeded, "[{}] {} files are more than {} at once",
          job.sources[0].name(), fds.size(), kMaxFds);
  send(socket, MessageKind::kJob, writer.take(), fds);
}

Job read_job(Message message) {
  Reader reader(message.body);
  Job job;
  job.task = reader.get<Task>();
  job.limits = get_limits(reader);
  job.confinement.memory_bytes = reader.get<uint64_t>();
  job.confinement.cpu_s = reader.get<int32_t>();
  job.upright = reader.get_flag();
  const bool has_rate = reader.get_flag();
  const auto rate = reader.get<double>();
  if (has_rate) job.pictures_rate = rate;
  const auto count = reader.get<uint64_t>();
  for (uint64_t i = 0; i < count; ++i) {
    std::string name = reader.get_text(kMaxName);
    if (!reader.get_flag()) {
      job.sources.push_back(
          MediaSource::open_file(message.fds.at(reader.get<uint64_t>()).release(), std::move(name)));
      continue;
    }
    const auto offset = reader.get<uint64_t>(), size = reader.get<uint64_t>();
    if (count == 1) {  // all of the memory
      job.sources.push_back(MediaSource::open_file(message.fds.back().release(), std::move(name)));
      continue;
    }
    std::string bytes(size, '\0');
    const ssize_t got = ::pread(message.fds.back().get(), bytes.data(), size, static_cast<off_t>(offset));
    require(got == static_cast<ssize_t>(size), ErrorCode::kIo, "[{}] cannot be read", name);
    job.sources.push_back(MediaSource::bytes(std::move(bytes), std::move(name)));
  }
  return job;
}

Room Room::make(size_t bytes) {
  Room room;
  room.fd_ = new_memory();
  const bool sized = ::ftruncate(room.fd_.get(), static_cast<off_t>(bytes)) == 0 &&
                     ::fcntl(room.fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  require(sized, ErrorCode::kOutOfMemory, "[sandbox] no room of {} bytes for pixels", bytes);
  void* data = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, room.fd_.get(), 0);
  require(data != MAP_FAILED, ErrorCode::kOutOfMemory, "[sandbox] no room of {} bytes for pixels", bytes);
  room.data_ = static_cast<uint8_t*>(data);
  room.size_ = bytes;
  return room;
}

Room Room::open(Fd fd, size_t bytes) {
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  require(data != MAP_FAILED, ErrorCode::kOutOfMemory, "[sandbox] no room of {} bytes for pixels", bytes);
  Room room;
  room.data_ = static_cast<uint8_t*>(data);
  room.size_ = bytes;
  return room;
}

Room::Room(Room&& other) noexcept { *this = std::move(other); }
Room& Room::operator=(Room&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}
Room::~Room() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace vl3::sandbox
