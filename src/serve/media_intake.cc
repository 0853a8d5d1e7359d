#include "serve/media_intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

#include "base/ascii.h"
#include "base/data_url.h"
#include "download/download.h"
#include "serve/api_error.h"
#include "serve/media_root.h"
#include "serve/media_store.h"
#include "serve/metrics.h"
#include "vl3/error.h"
#include "vl3/image.h"

namespace vl3::serve {
namespace {

constexpr size_t kMaxUuidBytes = 256;
constexpr size_t kLeastBase64 = 32;  // of a picture: what is shorter is a path or a name that looks like it
constexpr size_t kLookedAt = 1024;   // bytes of a download, for what it is instead of a medium

[[noreturn]] void refuse(int status, const char* code, const std::string& param, std::string_view words) {
  throw ApiError(status, code, fmt::format("{} {}", param.empty() ? "a medium" : param, words), param);
}

// "https" of "HTTPS://…"; empty where it begins with no scheme.
std::string scheme_of(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !is_letter(text[0])) return {};
  size_t end = 1;
  while (end < text.size() && (is_letter(text[end]) || (text[end] >= '0' && text[end] <= '9') ||
                               text[end] == '+' || text[end] == '-' || text[end] == '.'))
    ++end;
  return end < text.size() && text[end] == ':' ? ascii_lower(text.substr(0, end)) : std::string();
}

// A status and a code for what a download died of.
void refuse_download(const download::DownloadError& error, const std::string& param) {
  using download::Failure;
  switch (error.failure()) {
    case Failure::kBadUrl:
      refuse(400, "invalid_url", param, error.what());
    case Failure::kForbiddenAddress:
      refuse(403, "address_not_allowed", param, error.what());
    case Failure::kTooLarge:
      refuse(422, "media_too_large", param, error.what());
    case Failure::kTooManyRedirects:
    case Failure::kRefused:
    case Failure::kUnusable:
      refuse(422, "media_fetch_failed", param, error.what());
    case Failure::kUpstream:
    case Failure::kUntrusted:
      refuse(502, "media_fetch_failed", param, error.what());
    case Failure::kTimeout:
      refuse(504, "media_fetch_timeout", param, error.what());
    case Failure::kNoSpace:
      refuse(503, "no_temporary_space", param, error.what());
  }
}

bool type_fits(std::string_view type, MediaKind kind) {
  if (type.empty() || type == "application/octet-stream" || type == "binary/octet-stream") return true;
  if (type.starts_with("image/")) return true;  // a still or animated picture may be a clip
  const bool video = type.starts_with("video/") || type == "application/mp4" || type == "application/ogg";
  return video && kind == MediaKind::kVideo;
}

// The head of a data: URL, which says base64 and a type that fits.
void check_data_head(std::string_view url, MediaKind kind, const std::string& param) {
  const size_t comma = url.find(',');
  if (comma == std::string_view::npos)
    refuse(400, "invalid_data_url", param,
           "is a data: URL without a comma; it should be data:TYPE;base64,DATA");
  std::string head = ascii_lower(url.substr(5, comma - 5));
  std::erase(head, ' ');
  const std::string type = head.substr(0, head.find(';'));
  if (!head.ends_with(";base64"))
    refuse(400, "invalid_data_url", param,
           "is a data: URL without base64; it should be data:TYPE;base64,DATA");
  if (!type_fits(type, kind))
    refuse(400, "invalid_data_url", param,
           fmt::format("is data of a type that is not {}",
                       kind == MediaKind::kImage ? "a picture's" : "a clip's"));
}

Counter& reason_of(const std::string& code, RejectCounters& reasons) {
  if (code == "address_not_allowed" || code == "file_not_allowed" || code == "files_not_allowed")
    return reasons.address;
  if (code.starts_with("media_fetch")) return reasons.unreachable;
  if (code == "media_too_large") return reasons.too_large;
  if (code == "not_a_medium" || code == "invalid_base64") return reasons.not_media;
  return reasons.other;
}

download::DownloaderOptions downloader_options(const MediaIntakeOptions& options) {
  download::DownloaderOptions downloads;
  downloads.allow_addresses = options.allow_addresses;
  downloads.max_redirects = options.max_redirects;
  downloads.folder = options.temporary;
  return downloads;
}

// "[x] has …" as "x has …": what is thrown here names the request's field, not a file.
std::string without_brackets(std::string_view words, const std::string& where) {
  if (words.starts_with(where)) words.remove_prefix(std::min(where.size() + 1, words.size()));
  return std::string(words);
}

}  // namespace

class MediaIntake::Impl {
 public:
  explicit Impl(MediaIntakeOptions options)
      : options_(std::move(options)),
        downloader_(downloader_options(options_)),
        store_(options_.max_remembered_bytes) {
    if (!options_.root.empty()) root_.emplace(options_.root);
  }

  std::vector<MediaSource> fetch(const std::string& url, MediaKind kind, const std::string& param,
                                 const std::function<bool()>& cancelled) {
    const std::string scheme = scheme_of(url);
    if (scheme == "data") return decoded(from_data(url, kind, param));
    if (scheme == "http" || scheme == "https") return decoded({from_web(url, kind, param, cancelled)});
    if (scheme == "file") return decoded({from_file(url, param)});
    if (!scheme.empty())
      refuse(400, "unsupported_scheme", param,
             fmt::format("is an address of the scheme \"{}\"; http, https, data and file are read",
                         scheme.substr(0, 16)));
    return decoded(from_base64_alone(url, kind, param));
  }

  void count_refusal(const std::string& code) {
    if (options_.metrics != nullptr) reason_of(code, options_.metrics->media_rejects).add();
    const std::lock_guard lock(mutex_);
    ++stats_.refused[code];
  }
  MediaIntakeStats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  MediaStore& store() { return store_; }

 private:
  std::vector<MediaSource> decoded(std::vector<MediaSource> sources) const {
    if (options_.decoder == nullptr) return sources;
    for (MediaSource& source : sources) source = source.decoded_by(options_.decoder);
    return sources;
  }

  int64_t max_bytes(MediaKind kind) const {
    const uint64_t most = kind == MediaKind::kImage ? options_.max_image_bytes : options_.max_video_bytes;
    return static_cast<int64_t>(std::min<uint64_t>(most, INT64_MAX));
  }

  // What base/data_url says of it, as an answer to the client.
  template <class Read>
  auto read(const std::string& where, const std::string& param, Read read) const {
    try {
      return read();
    } catch (const Error& error) {
      const bool limit = error.code() == ErrorCode::kLimitExceeded;
      refuse(limit ? 422 : 400, limit ? "media_too_large" : "invalid_base64", param,
             without_brackets(error.what(), where));
    }
  }

  std::vector<MediaSource> from_data(const std::string& url, MediaKind kind, const std::string& param) const {
    check_data_head(url, kind, param);
    const std::string where = "[" + param + "]";
    DataUrl data = read(where, param, [&] {
      return parse_data_url(url, max_bytes(kind), options_.max_frames_of_list, where);
    });
    const bool list = data.parts.size() > 1;
    std::vector<MediaSource> sources;
    for (std::string& part : data.parts) {
      std::string name = list ? fmt::format("{}: frame {}", param, sources.size()) : param;
      sources.push_back(MediaSource::bytes(std::move(part), std::move(name)));
    }
    return sources;
  }

  std::vector<MediaSource> from_base64_alone(const std::string& text, MediaKind kind,
                                             const std::string& param) const {
    if (text.empty()) refuse(400, "invalid_url", param, "is empty");
    if (text.size() < kLeastBase64 || text.find_first_of(".:\\%~?#") != std::string::npos)
      refuse(
          400, "invalid_url", param,
          "is neither an address (http://, https://, data:, or file:// where files are allowed) nor base64");
    const std::string where = "[" + param + "]";
    std::string bytes = read(where, param, [&] { return from_base64(text, max_bytes(kind), where); });
    if (bytes.empty()) refuse(400, "invalid_base64", param, "has no data");
    return {MediaSource::bytes(std::move(bytes), param)};
  }

  MediaSource from_file(const std::string& url, const std::string& param) const {
    if (!root_)
      refuse(403, "files_not_allowed", param,
             "names a file, and this server reads none: it has no --media-root");
    if (!ascii_lower(url.substr(0, 7)).starts_with("file://"))
      refuse(400, "invalid_url", param, "is a file: URL that does not begin with file://");
    return root_->open(url, param, param);
  }

  MediaSource from_web(const std::string& url, MediaKind kind, const std::string& param,
                       const std::function<bool()>& cancelled) {
    const download::DownloadLimits limits{
        static_cast<uint64_t>(max_bytes(kind)),
        kind == MediaKind::kImage ? options_.image_timeout : options_.video_timeout};
    const Clock::time_point begun = Clock::now();
    download::Downloaded content;
    try {
      content = downloader_.get(url, limits, cancelled);
    } catch (const download::DownloadError& error) {
      refuse_download(error, param);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    {
      const std::lock_guard lock(mutex_);
      ++stats_.downloads;
      stats_.downloaded_bytes += static_cast<int64_t>(content.size);
      stats_.download_s += seconds;
    }
    if (options_.metrics != nullptr) {
      options_.metrics->media_fetch_seconds.observe(seconds);
      options_.metrics->media_fetched_bytes.add(content.size);
    }
    if (content.file.get() >= 0) return MediaSource::open_file(content.file.release(), param);
    const auto head =
        std::as_bytes(std::span(content.bytes).first(std::min(kLookedAt, content.bytes.size())));
    // A clip is for its decoder to judge, also where a picture was wanted.
    const std::string other = describe_foreign_file(head);
    if (!other.empty() && !other.starts_with("a clip"))
      refuse(422, "not_a_medium", param, "is answered by its server with what is " + other);
    return MediaSource::bytes(std::move(content.bytes), param);
  }

  using Clock = std::chrono::steady_clock;

  const MediaIntakeOptions options_;
  const download::Downloader downloader_;
  std::optional<MediaRoot> root_;
  MediaStore store_;
  mutable std::mutex mutex_;
  MediaIntakeStats stats_;
};

bool is_joined_frames(std::string_view url) {
  constexpr size_t kLongestHead = 32;
  std::string head = ascii_lower(url.substr(0, std::min(url.find(','), kLongestHead)));
  std::erase(head, ' ');
  return head.starts_with("data:video/jpeg;");
}

MediaIntake::MediaIntake(MediaIntakeOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
MediaIntake::~MediaIntake() = default;

std::vector<MediaSource> MediaIntake::fetch(const std::string& url, MediaKind kind, const std::string& param,
                                            const std::function<bool()>& cancelled) {
  try {
    return impl_->fetch(url, kind, param, cancelled);
  } catch (const ApiError& error) {
    impl_->count_refusal(error.code);
    throw;
  }
}

Medium MediaIntake::recall(const std::string& client, const std::string& uuid, MediaKind kind,
                           const std::string& param) {
  std::optional<Medium> medium;
  if (uuid.size() <= kMaxUuidBytes) medium = impl_->store().find(client, uuid, kind);
  if (medium) return *std::move(medium);
  impl_->count_refusal("unknown_uuid");
  refuse(400, "unknown_uuid", param,
         "names by its uuid what was not sent before, or was dropped since; send it again with its URL");
}

void MediaIntake::remember(const std::string& client, const std::string& uuid, MediaKind kind,
                           Medium medium) {
  if (uuid.empty() || uuid.size() > kMaxUuidBytes) return;
  impl_->store().put(client, uuid, kind, std::move(medium));
}

MediaIntakeStats MediaIntake::stats() const { return impl_->stats(); }

}  // namespace vl3::serve
