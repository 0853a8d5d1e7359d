#include "vl3/media_fetch.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <list>
#include <mutex>
#include <optional>
#include <span>

#include "base/check.h"
#include "base/web_address.h"
#include "fetch/address_cache.h"
#include "fetch/web_transfer.h"
#include "vl3/image.h"

namespace vl3 {
namespace {

using namespace download;
using Cancelled = std::function<bool()>;

constexpr size_t kLookedAt = 1024;                 // bytes, for what it is instead of a medium
constexpr uint64_t kInMemory = uint64_t{1} << 20;  // what is smaller needs no file

ErrorCode code_of(const DownloadError& error) {
  switch (error.failure()) {
    case Failure::kBadUrl:
    case Failure::kForbiddenAddress:
      return ErrorCode::kInvalidArgument;
    case Failure::kTooLarge:
      return ErrorCode::kLimitExceeded;
    case Failure::kRefused:
      return ErrorCode::kNotFound;
    case Failure::kUnusable:
    case Failure::kTooManyRedirects:
      return ErrorCode::kFormat;
    case Failure::kUpstream:
    case Failure::kTimeout:
    case Failure::kUntrusted:
    case Failure::kNoSpace:
      break;
  }
  return ErrorCode::kIo;
}

std::string read_at_start(int descriptor, size_t count) {
  std::string bytes(count, '\0');
  size_t got = 0;
  while (got < count) {
    const ssize_t read = ::pread(descriptor, bytes.data() + got, count - got, static_cast<off_t>(got));
    if (read <= 0) break;
    got += static_cast<size_t>(read);
  }
  bytes.resize(got);
  return bytes;
}

// What else to do about it, of the places that people take addresses from.
std::string advice(const std::string& shown, std::string_view what) {
  if (what.find("HTML") != std::string_view::npos && shown.find("/blob/") != std::string::npos)
    return ". This address is that of a page about a file: the file itself has /raw/ (GitHub) or /resolve/ "
           "(the "
           "Hugging Face hub) in place of /blob/";
  if (what.find("LFS") != std::string_view::npos)
    return ". The file itself has /resolve/ in place of /raw/ in its address on the Hugging Face hub, and "
           "media.githubusercontent.com/media/ for raw.githubusercontent.com/ on GitHub";
  if (what.find("JSON") != std::string_view::npos || what.find("XML") != std::string_view::npos)
    return ", not a medium: its server may say there what is wrong with the address";
  return {};
}

// Throws kFormat for what is no picture and no clip, by its name.
void check_medium(std::string_view head, bool video, const std::string& shown) {
  const auto bytes = std::as_bytes(std::span(head));
  const std::string what = describe_foreign_file(bytes);
  if (what.empty() || (video && what.starts_with("a clip"))) return;
  fail(ErrorCode::kFormat, "[{}] is answered with what is {}{}", shown, what, advice(shown, what));
}

TransferOptions transfer_options(const MediaFetchOptions& options) {
  TransferOptions result;
  result.allow_addresses = options.allow_addresses;
  result.connect_to = options.connect_to;
  result.certificates = options.certificates.string();
  result.max_redirects = options.max_redirects;
  result.attempts = options.attempts;
  result.stall_timeout = options.stall_timeout;
  return result;
}

}  // namespace

class MediaFetcher::Impl {
 public:
  explicit Impl(MediaFetchOptions options)
      : options_(std::move(options)), transfer_(transfer_options(options_)) {
    std::error_code ignored;
    require(options_.certificates.empty() || std::filesystem::exists(options_.certificates, ignored),
            ErrorCode::kNotFound, "[{}] is the file of certificates, and not there",
            options_.certificates.string());
    if (!options_.cache.empty()) cache_.emplace(options_.cache, options_.cache_bytes);
  }

  MediaSource fetch(const std::string& address, bool video, bool trusted, const Cancelled& cancelled) {
    const Key key{address, trusted};
    if (const auto known = recall(key)) {
      check_source(*known, video);
      return *known;
    }
    const std::string shown = shown_address(address);
    try {
      MediaSource source = fetched(address, video, trusted, shown, cancelled);
      check_source(source, video);
      remember(key, source);
      return source;
    } catch (const DownloadError& error) {
      fail(code_of(error), "[{}] {}", shown, error.what());
    }
  }

 private:
  struct Key {
    std::string address;
    bool trusted;
    bool operator==(const Key&) const = default;
  };

  static void check_source(const MediaSource& source, bool video) {
    const std::span<const std::byte> held = source.data();
    const std::string head = held.empty() ? read_at_start(source.descriptor(), kLookedAt)
                                          : std::string(reinterpret_cast<const char*>(held.data()),
                                                        std::min(kLookedAt, held.size()));
    check_medium(head, video, source.name());
  }

  static MediaSource source_of(OpenFile file, uint64_t size, const std::string& shown) {
    if (size <= kInMemory) return MediaSource::bytes(read_at_start(file.get(), size), shown);
    return MediaSource::open_file(file.release(), shown);
  }

  MediaSource fetched(const std::string& address, bool video, bool trusted, const std::string& shown,
                      const Cancelled& cancelled) {
    std::optional<AddressCache::Found> kept;
    if (cache_) kept = cache_->find(address);
    TransferRequest request;
    request.address = address;
    request.trusted = trusted;
    request.max_bytes = video ? options_.max_video_bytes : options_.max_image_bytes;
    request.timeout = video ? options_.video_timeout : options_.image_timeout;
    if (kept) request.known = kept->entry.validators;
    request.cancelled = cancelled;
    if (options_.progress)
      request.progress = [&](uint64_t received, uint64_t total) {
        options_.progress(shown, received, total);
      };
    PartFile content = cache_ ? cache_->begin() : PartFile::unnamed(options_.temporary);
    TransferReply reply;
    try {
      reply = transfer_.get(request, content);
    } catch (const DownloadError& error) {
      const bool unreachable = error.failure() == Failure::kUpstream ||
                               error.failure() == Failure::kTimeout || error.failure() == Failure::kUntrusted;
      if (!kept || !unreachable) throw;
      if (options_.note)
        options_.note(fmt::format("[{}] {}; what the cache has of it is used, which may have changed since",
                                  shown, error.what()));
      reply.unchanged = true;
    }
    if (reply.unchanged) {
      if (kept->entry.bytes > request.max_bytes)
        fail(ErrorCode::kLimitExceeded, "[{}] has {} bytes, more than {}, the limit", shown,
             kept->entry.bytes, request.max_bytes);
      return source_of(std::move(kept->file), kept->entry.bytes, shown);
    }
    const uint64_t size = content.size();
    OpenFile readable = content.take_readable();
    // A page in place of a medium is not worth keeping.
    check_medium(read_at_start(readable.get(), kLookedAt), video, shown);
    if (cache_ && reply.may_be_kept && !reply.validators.empty())
      cache_->keep(address, reply.validators, content);
    return source_of(std::move(readable), size, shown);
  }

  std::optional<MediaSource> recall(const Key& key) {
    const std::lock_guard lock(mutex_);
    for (auto one = remembered_.begin(); one != remembered_.end(); ++one) {
      if (!(one->first == key)) continue;
      remembered_.splice(remembered_.begin(), remembered_, one);
      return one->second;
    }
    return std::nullopt;
  }
  void remember(const Key& key, const MediaSource& source) {
    const std::lock_guard lock(mutex_);
    remembered_.emplace_front(key, source);
    while (remembered_.size() > static_cast<size_t>(std::max(options_.remembered, 0))) remembered_.pop_back();
  }

  const MediaFetchOptions options_;
  const WebTransfer transfer_;
  std::optional<AddressCache> cache_;
  std::mutex mutex_;
  std::list<std::pair<Key, MediaSource>> remembered_;  // last used first
};

MediaFetcher::MediaFetcher(MediaFetchOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
MediaFetcher::~MediaFetcher() = default;

MediaSource MediaFetcher::fetch(const std::string& address, bool video, bool trusted,
                                const std::function<bool()>& cancelled) const {
  return impl_->fetch(address, video, trusted, cancelled);
}

}  // namespace vl3
