#include "download/transfer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/check.h"
#include "download/reply_fields.h"
#include "download/retry.h"

namespace vl3::download {
namespace {

[[noreturn]] void fail_with(Failure failure, const std::string& words) {
  throw DownloadError(failure, words);
}

void judge_status(long status) {
  if (status == 200) return;
  if (may_change(status))
    fail_with(Failure::kUpstream,
              fmt::format("could not be fetched: its server answered with status {}", status));
  if (status >= 400)
    fail_with(Failure::kRefused, fmt::format("was refused by its server with status {}", status));
  fail_with(Failure::kUnusable,
            fmt::format("was answered by its server with status {}, which has no content", status));
}

}  // namespace

// --- content

void Content::add(const char* bytes, size_t count) {
  if (count > max_bytes_ - size_)
    fail_with(Failure::kTooLarge, fmt::format("has more than {} bytes, which is the limit", max_bytes_));
  size_ += count;
  if (writable_.get() < 0 && size_ <= options_.memory_bytes) {
    bytes_.append(bytes, count);
    return;
  }
  if (writable_.get() < 0) begin_file();
  write(bytes, count);
}

// The file has no name by the time anything is in it. Decoders get a descriptor that cannot write.
void Content::begin_file() {
  const auto folder = options_.folder.empty() ? std::filesystem::temp_directory_path() : options_.folder;
  std::string path = (folder / "vl3-media-XXXXXX").string();
  writable_ = OpenFile(::mkostemp(path.data(), O_CLOEXEC));
  if (writable_.get() >= 0) {
    readable_ = OpenFile(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ::unlink(path.c_str());
  }
  if (readable_.get() < 0) fail_with(Failure::kNoSpace, "cannot be stored: no temporary file can be made");
  write(bytes_.data(), bytes_.size());
  bytes_ = {};
}

void Content::write(const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t wrote = ::write(writable_.get(), bytes, count);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) fail_with(Failure::kNoSpace, "cannot be stored: the disk for temporary files is full");
    bytes += wrote;
    count -= static_cast<size_t>(wrote);
  }
}

Downloaded Content::take() {
  writable_ = OpenFile();
  return {std::move(bytes_), std::move(readable_), size_};
}

// --- transfer

std::string transfer(const Url& url, const DownloaderOptions& options, const AddressRules& rules,
                     const DownloadLimits& limits, Clock::time_point deadline, Content& content,
                     const std::function<bool()>& cancelled) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  ExchangeOptions asked;
  asked.rules = &rules;
  asked.connect_timeout = options.connect_timeout;
  asked.timeout = std::max(left, std::chrono::milliseconds(1));
  asked.stall_timeout = options.stall_timeout;
  asked.stall_bytes_per_s = options.stall_bytes_per_s;
  asked.max_bytes = std::max<uint64_t>(limits.max_bytes, 1);
  ReplySink sink;
  sink.head = [](const ReplyHead& head) { return head.status == 200 && !is_packed(head); };
  sink.body = [&](std::string_view piece) { content.add(piece.data(), piece.size()); };
  const Outcome outcome = Exchanger().run(url, asked, sink, cancelled);
  outcome.check_head();
  const long status = outcome.head.status;
  const std::string location = outcome.head.value("location");
  if (is_redirect(status) && !location.empty()) return location;
  judge_status(status);
  if (is_packed(outcome.head))
    fail_with(Failure::kUnusable, "comes compressed, though it was asked for as it is");
  outcome.check_end();
  if (content.size() == 0) fail_with(Failure::kUnusable, "is empty");
  return {};
}

}  // namespace vl3::download
