// What is kept of a download that is under way.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/check.h"
#include "base/file.h"
#include "hub/blob.h"

namespace vl3::hub {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxValidatorBytes = 1024;

}  // namespace

fs::path PartialBlob::file_of(const RepositoryCache& cache, const std::string& etag) {
  return cache.blob(etag + ".vl3.incomplete");
}

void PartialBlob::fail_to(const char* verb, int error) const {
  const std::string words = std::generic_category().message(error);
  if (error != ENOSPC && error != EDQUOT)
    fail(ErrorCode::kIo, "[{}] cannot {}: {}", path_.string(), verb, words);
  throw HubError(HubFailure::kNoSpace,
                 fmt::format("[{}] {} after {} of {} bytes: make room, and what is there is resumed",
                             path_.string(), words, bytes_, size_));
}

PartialBlob::PartialBlob(const RepositoryCache& cache, const std::string& etag, int64_t size,
                         const std::function<bool()>& cancelled)
    : cache_(cache),
      etag_(etag),
      size_(size),
      path_(file_of(cache, etag)),
      validator_path_(cache.blob(etag + ".vl3.version.incomplete")) {
  file_ = download::OpenFile(::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (file_.get() < 0) fail_to("open", errno);
  struct stat status {};
  const bool usable = ::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
  require(usable, ErrorCode::kIo, "[{}] is no plain file of its own: remove it", path_.string());
  hash_.emplace(etag_, size_);
  if (status.st_size == 0) return;
  if (status.st_size > size_) {
    start_again();
    return;
  }
  read_in_pieces(path_, [&](std::span<const std::byte> piece) {
    require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[hub] cancelled");
    hash_->add(piece);
    bytes_ += static_cast<int64_t>(piece.size());
  });
  resumed_ = true;
  try {
    validator_ = read_file(validator_path_, kMaxValidatorBytes);
  } catch (const Error&) {  // it was not there, or is not known: the hash will tell
  }
}

void PartialBlob::keep_validator(const std::string& validator) {
  // A weak one says too little to go on behind what is there.
  const std::string strong =
      validator.starts_with("W/") || validator.size() > kMaxValidatorBytes ? "" : validator;
  if (strong == validator_) return;
  validator_ = strong;
  const download::OpenFile file(
      ::open(validator_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
  const ssize_t put = file.get() < 0 ? -1 : ::write(file.get(), strong.data(), strong.size());
  if (put != static_cast<ssize_t>(strong.size()))
    fail_to("keep the version beside it", put < 0 ? errno : ENOSPC);
}

void PartialBlob::add(std::string_view piece) {
  if (static_cast<int64_t>(piece.size()) > size_ - bytes_)
    throw HubError(HubFailure::kWrongBytes, fmt::format("has more than its {} bytes", size_));
  hash_->add(piece);
  while (!piece.empty()) {
    // Where its bytes belong, and not at the end: should a lock hold nobody back, two write the same.
    const ssize_t put = ::pwrite(file_.get(), piece.data(), piece.size(), bytes_);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail_to("write", put < 0 ? errno : ENOSPC);
    bytes_ += put;
    piece.remove_prefix(static_cast<size_t>(put));
  }
}

void PartialBlob::start_again() {
  if (::ftruncate(file_.get(), 0) != 0) fail_to("empty", errno);
  hash_.emplace(etag_, size_);
  bytes_ = 0;
  resumed_ = false;
}

bool PartialBlob::verify() { return bytes_ == size_ && hash_->hex() == etag_; }

void PartialBlob::publish() {
  if (::fsync(file_.get()) != 0) fail_to("write to disk", errno);
  const fs::path blob = cache_.blob(etag_);
  if (::rename(path_.c_str(), blob.c_str()) != 0) {
    const int error = errno;
    std::error_code code;  // where locks hold nobody back, another download may have been first
    if (error == ENOENT && !fs::is_regular_file(blob, code))
      fail(ErrorCode::kIo, "[{}] was removed while it was downloaded: pull the model again", path_.string());
    if (error != ENOENT) fail_to("give it its name", error);
  }
  ::unlink(validator_path_.c_str());
}

void PartialBlob::remove() {
  ::unlink(path_.c_str());
  ::unlink(validator_path_.c_str());
}

}  // namespace vl3::hub
