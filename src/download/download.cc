#include "download/download.h"

#include <curl/curl.h>
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

Downloader::Downloader(DownloaderOptions options)
    : options_(std::move(options)), rules_(options_.allow_addresses) {
  // Thread-safe, and counted; never undone, as threads that resolve names may still run at the end.
  require(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, ErrorCode::kInternal,
          "[download] libcurl could not be set up");
}

Downloaded Downloader::get(const std::string& text, const DownloadLimits& limits,
                           const std::function<bool()>& cancelled) const {
  const Clock::time_point deadline = Clock::now() + limits.timeout;
  const auto checked = [&](auto make) {
    try {
      Url url = make();
      const auto address = parse_address(url.host());
      if (address && !rules_.allows(*address))
        throw DownloadError(Failure::kForbiddenAddress,
                            "leads to an address that is not public, nor one that was allowed");
      return url;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidArgument) throw;
      throw DownloadError(Failure::kBadUrl, error.what());
    }
  };
  Url url = checked([&] { return Url(text); });
  for (int redirects = 0;; ++redirects) {
    Content content(limits.max_bytes, options_);
    if (Clock::now() >= deadline)
      throw DownloadError(Failure::kTimeout, "could not be fetched in the time that is allowed");
    const std::string location = Transfer(url, options_, rules_, content).run(deadline, limits, cancelled);
    if (location.empty()) return content.take();
    if (redirects >= options_.max_redirects)
      throw DownloadError(Failure::kTooManyRedirects,
                          fmt::format("was redirected more than {} times", options_.max_redirects));
    try {
      url = checked([&] { return url.follow(location); });
    } catch (const DownloadError& error) {
      if (error.failure() != Failure::kBadUrl) throw;
      throw DownloadError(Failure::kUnusable, "is redirected to what is no address that would be read");
    }
  }
}

}  // namespace vl3::download
