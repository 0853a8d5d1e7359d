#include "download/download.h"

#include <unistd.h>

#include <utility>

#include "base/check.h"
#include "download/transfer.h"
#include "download/url.h"

namespace vl3::download {

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int OpenFile::release() noexcept { return std::exchange(descriptor_, -1); }

Url url_asked_for(const std::string& address) {
  try {
    return Url(address);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    throw DownloadError(Failure::kBadUrl, error.what());
  }
}

Url url_redirected_to(const Url& from, const std::string& location) {
  try {
    return from.follow(location);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    throw DownloadError(Failure::kUnusable, fmt::format("is redirected to what {}", error.what()));
  }
}

Downloader::Downloader(DownloaderOptions options)
    : options_(std::move(options)), rules_(options_.allow_addresses) {}

Downloaded Downloader::get(const std::string& text, const DownloadLimits& limits,
                           const std::function<bool()>& cancelled) const {
  const Clock::time_point deadline = Clock::now() + limits.timeout;
  Url url = url_asked_for(text);
  for (int redirects = 0;; ++redirects) {
    const auto address = parse_address(url.host());
    if (address && !rules_.allows(*address))
      throw DownloadError(Failure::kForbiddenAddress,
                          "leads to an address that is not public, nor one that was allowed");
    Content content(limits.max_bytes, options_);
    if (Clock::now() >= deadline)
      throw DownloadError(Failure::kTimeout, "could not be fetched in the time that is allowed");
    const std::string location = transfer(url, options_, rules_, limits, deadline, content, cancelled);
    if (location.empty()) return content.take();
    if (redirects >= options_.max_redirects)
      throw DownloadError(Failure::kTooManyRedirects,
                          fmt::format("was redirected more than {} times", options_.max_redirects));
    url = url_redirected_to(url, location);
  }
}

}  // namespace vl3::download
