#include "address_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/data_url.h"
#include "base/web_address.h"
#include "media_files.h"
#include "size_option.h"

namespace vl3::cli {
namespace {

constexpr const char* kAddresses = "Addresses";

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds(std::llround(1000 * seconds));
}

}  // namespace

bool is_address(std::string_view word) noexcept { return is_web_address(word) || is_data_url(word); }

void AddressOptions::add_to(CLI::App& command) {
  command
      .add_option("--media-cache", fetch_.cache,
                  "folder in which pictures and clips of http(s) addresses are kept for later runs")
      ->type_name("FOLDER")
      ->group(kAddresses);
  command
      .add_option("--media-cache-size", cache_gib_, "GiB it may hold; what was used longest ago goes first")
      ->transform(size_in_gib())
      ->capture_default_str()
      ->group(kAddresses);
  command
      .add_option("--media-timeout", timeout_s_,
                  "seconds that fetching one may take (default: 120 for a picture, 3600 for a clip)")
      ->check(CLI::Range(0.001, 1e6))
      ->group(kAddresses);
  command.add_option("--limit-clip", fetch_.max_video_bytes, "largest clip that is fetched, bytes (8G)")
      ->transform(size_in_bytes())
      ->type_name("BYTES")
      ->capture_default_str()
      ->group("Limits");
  command
      .add_option("--allow-media-address", fetch_.allow_addresses,
                  "block of addresses (10.1.0.0/16) that request files and redirects may lead to, beside the "
                  "public ones")
      ->type_name("CIDR")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kAddresses);
  command
      .add_option("--connect-to", fetch_.connect_to, "where a host is, in place of asking for its address")
      ->type_name("HOST:PORT:ADDRESS:PORT")
      ->allow_extra_args(false)
      ->group(kAddresses);
  command
      .add_option("--certificates", fetch_.certificates,
                  "authorities to trust (PEM) in place of the system's")
      ->envname("SSL_CERT_FILE")
      ->type_name("FILE")
      ->group(kAddresses);
}

void AddressOptions::open(ProcessorRequest& request, const MediaLimits& limits,
                          const std::function<bool()>& cancelled) const {
  open_addresses(request, [&](const std::string& address, bool video) {
    return fetch(address, video, limits, cancelled);
  });
}

void AddressOptions::open(const std::string& address, bool video, const MediaLimits& limits,
                          const std::function<bool()>& cancelled) const {
  if (is_web_address(address)) fetch(address, video, limits, cancelled);
}

MediaSource AddressOptions::fetch(const std::string& address, bool video, const MediaLimits& limits,
                                  const std::function<bool()>& cancelled) const {
  Shared& shared = *shared_;
  if (shared.fetcher == nullptr) {
    MediaFetchOptions options = fetch_;
    options.max_image_bytes = static_cast<uint64_t>(std::max<int64_t>(0, limits.max_file_bytes));
    options.cache_bytes = static_cast<uint64_t>(cache_gib_ * 1073741824.0);
    if (timeout_s_ > 0) options.image_timeout = options.video_timeout = milliseconds_of(timeout_s_);
    // The fetcher is theirs, so that they live as long.
    options.progress = [&shared](const std::string&, uint64_t received, uint64_t total) {
      if (shared.progress != nullptr)
        shared.progress->update("fetch KiB", static_cast<int64_t>(received >> 10),
                                static_cast<int64_t>(std::max(received, total) >> 10));
    };
    options.note = [](const std::string& words) { fmt::print(stderr, "note: {}\n", words); };
    shared.fetcher = std::make_unique<MediaFetcher>(std::move(options));
  }
  Progress progress;
  shared.progress = &progress;
  struct Done {
    Shared& shared;
    ~Done() { shared.progress = nullptr; }
  } const done{shared};
  const bool typed = typed_.contains(address);
  MediaSource source = shared.fetcher->fetch(address, video, typed, cancelled);
  if (typed && video) check_fetched_clip(source, limits);  // as of a file that is given as --video
  return source;
}

}  // namespace vl3::cli
