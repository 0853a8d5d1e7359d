#include "hub/blob.h"

#include <optional>
#include <utility>

#include "base/check.h"
#include "download/reply_fields.h"
#include "download/retry.h"
#include "hub/file_lock.h"
#include "hub/name.h"
#include "hub/shared_store.h"

namespace vl3::hub {
namespace {

using download::DownloadError;
using download::Outcome;
using download::ReplyHead;

constexpr unsigned kLockMode = 0664;  // as huggingface_hub makes them: others of the group may wait, too

// The download of one blob, over as many requests as it takes.
class Fetch {
 public:
  Fetch(Client& client, PartialBlob& partial, const Wanted& wanted, const FileEntry& entry,
        const BlobNotes& notes)
      : client_(client), partial_(partial), wanted_(wanted), entry_(entry), notes_(notes) {}

  void run();

 private:
  bool download();
  void request();
  void start_again();
  bool begin(const ReplyHead& head);
  void judge(const Outcome& outcome, bool of_hub);
  void find_place();
  void tell() const {
    if (notes_.progress) notes_.progress(partial_.bytes());
  }
  [[noreturn]] void refuse_bytes(const std::string& words) const {
    throw HubError(HubFailure::kWrongBytes, fmt::format("[{}] {} {}: it is not used", wanted_.repository,
                                                        printable(wanted_.path), words));
  }

  Client& client_;
  PartialBlob& partial_;
  const Wanted& wanted_;
  const FileEntry& entry_;
  const BlobNotes& notes_;
  std::optional<Place> place_;
  ReplyHead last_;            // of the last reply: how long to wait may stand there
  std::string why_;           // the last request did not come to its end
  bool other_range_ = false;  // it had another part of the file than was asked for
  bool foreign_ = false;      // it was a page of somebody else
  int begun_again_ = 0;
};

void Fetch::find_place() {
  if (place_.has_value()) return;
  place_ = client_.place(wanted_);
  if (place_->etag != entry_.etag())
    refuse_bytes(fmt::format("is {} in the hub's list, and \"{}\" where it gives it out", entry_.etag(),
                             printable(place_->etag)));
  if (place_->size.value_or(entry_.size) != entry_.size)
    refuse_bytes(fmt::format("has {} bytes in the hub's list, and {} where it gives it out", entry_.size,
                             *place_->size));
}

// A server that never gives the same twice would keep us here for ever.
void Fetch::start_again() {
  if (++begun_again_ > client_.settings().tries) {
    partial_.remove();
    refuse_bytes(
        fmt::format("had to begin from its first byte more than {} times", client_.settings().tries));
  }
  partial_.start_again();
}

// Before the first byte: where it belongs.
bool Fetch::begin(const ReplyHead& head) {
  if ((head.status == 200 || head.status == 206) && download::is_packed(head))
    throw HubError(HubFailure::kBadAnswer,
                   fmt::format("[{}] {} comes compressed, though it was asked for as it is",
                               wanted_.repository, printable(wanted_.path)));
  if (head.status == 206) {
    const auto range = download::parse_content_range(head.value("content-range"));
    other_range_ = !range || range->first != static_cast<uint64_t>(partial_.bytes());
    return !other_range_;
  }
  if (head.status != 200) return false;
  // Of a network that wants a login first, for one.
  const auto length = download::byte_count(head.value("content-length"));
  foreign_ = head.value("content-type").starts_with("text/html") && length.has_value() &&
             static_cast<int64_t>(*length) != entry_.size;
  if (foreign_) return false;
  if (partial_.bytes() > 0) start_again();
  partial_.keep_validator(head.value("etag"));
  return true;
}

void Fetch::request() {
  std::vector<std::string> fields;
  if (partial_.bytes() > 0) {
    fields.push_back(fmt::format("Range: bytes={}-", partial_.bytes()));
    if (!partial_.validator().empty()) fields.push_back("If-Range: " + partial_.validator());
  }
  const download::ReplySink sink{[&](const ReplyHead& head) { return begin(head); },
                                 [&](std::string_view piece) {
                                   partial_.add(piece);
                                   tell();
                                 }};
  why_.clear();
  other_range_ = foreign_ = false;
  bool of_hub = false;
  const Outcome outcome = client_.get(place_->address, std::move(fields), sink, of_hub);
  last_ = outcome.head;
  judge(outcome, of_hub);
}

void Fetch::judge(const Outcome& outcome, bool of_hub) {
  const long status = outcome.head.status;
  if (foreign_) {
    why_ = "was answered with a web page";
    return;
  }
  try {
    outcome.check_head();
    if (status == 200 || status == 206) outcome.check_end();
  } catch (const DownloadError& error) {
    if (error.failure() == download::Failure::kUntrusted)
      throw HubError(HubFailure::kUnreachable,
                     fmt::format("[{}] {} {}", wanted_.repository, printable(wanted_.path), error.what()));
    why_ = error.failure() == download::Failure::kTimeout
               ? fmt::format("brought next to nothing for {} s", client_.settings().stall_timeout.count())
               : error.what();
    if (other_range_) start_again();
    return;
  }
  if (status == 200 || status == 206) {
    if (partial_.bytes() < entry_.size) why_ = fmt::format("ended after {} bytes", partial_.bytes());
    return;
  }
  why_ = fmt::format("was answered with status {}", status);
  if (status == 416) return start_again();
  if (download::may_change(status)) return;
  if (of_hub && status >= 400) client_.refuse(outcome.head, wanted_);
  place_.reset();  // the address is signed, and no longer good: ask for another
}

// Until all bytes are there; false where more came than the file has.
bool Fetch::download() {
  // What brings no more than this went on in drops, and would for years.
  const int64_t worthwhile = download::kStallBytesPerS * client_.settings().stall_timeout.count();
  int failed = 0;  // in a row, with less
  while (partial_.bytes() < entry_.size) {
    const int64_t before = partial_.bytes();
    find_place();
    try {
      request();
    } catch (const HubError& error) {
      if (error.failure() != HubFailure::kWrongBytes) throw;
      return false;
    }
    if (why_.empty()) continue;
    failed = partial_.bytes() - before >= worthwhile ? 1 : failed + 1;
    if (failed >= client_.settings().tries)
      throw HubError(HubFailure::kUnreachable,
                     fmt::format("[{}] {} {}, {} times in a row; {} of {} bytes are kept", wanted_.repository,
                                 printable(wanted_.path), why_, failed, partial_.bytes(), entry_.size));
    const bool at_once = failed == 1 && !place_.has_value();  // at its new address
    if (!at_once) client_.wait(failed, last_);
  }
  return true;
}

void Fetch::run() {
  tell();
  if (download() && partial_.verify()) return;
  // What an earlier download left may be of something else, and a byte may be spoiled on its way: once more,
  // whole.
  start_again();
  if (download() && partial_.verify()) return;
  partial_.remove();
  refuse_bytes(fmt::format("has other bytes than its hash {} says", entry_.etag()));
}

}  // namespace

void fetch_blob(Client& client, const RepositoryCache& cache, const Wanted& wanted, const FileEntry& entry,
                const std::function<bool()>& cancelled, const BlobNotes& notes) {
  namespace fs = std::filesystem;
  const std::string& etag = entry.etag();
  const FileLock lock(cache.lock(etag), kLockMode, cancelled, [&] {
    if (notes.notes)
      notes.notes(fmt::format("{}: another download of it is under way; waiting", wanted.path));
  });
  std::error_code code;
  const fs::path blob = cache.blob(etag);
  if (fs::is_regular_file(blob, code) && fs::file_size(blob, code) == static_cast<uintmax_t>(entry.size))
    return;
  if (link_shared_blob(client.settings(), cache, entry, cancelled)) return;
  PartialBlob partial(cache, etag, entry.size, cancelled);
  Fetch(client, partial, wanted, entry, notes).run();
  partial.publish();
}

}  // namespace vl3::hub
