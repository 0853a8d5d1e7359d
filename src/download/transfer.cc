#include "download/transfer.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/ascii.h"
#include "base/check.h"

namespace vl3::download {
namespace {

constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr int kAskedEvery_ms = 50;  // whether it was cancelled

[[noreturn]] void fail_with(Failure failure, const std::string& words) {
  throw DownloadError(failure, words);
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// A line of a header, whose end is still there.
std::string_view trimmed(std::string_view text) {
  while (!text.empty() &&
         (text.back() == '\r' || text.back() == '\n' || text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
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

Transfer::Transfer(const Url& url, const DownloaderOptions& options, const AddressRules& rules,
                   Content& content)
    : url_(url),
      options_(options),
      rules_(rules),
      content_(content),
      fields_(curl_slist_append(nullptr, "Accept-Encoding: identity")),
      easy_(curl_easy_init()) {
  require(easy_ != nullptr && fields_ != nullptr, ErrorCode::kOutOfMemory, "[download] no memory");
}

// The address here is the one that is connected to, whatever the name resolved to before or will later.
curl_socket_t Transfer::open_socket(void* self, curlsocktype purpose, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (purpose != CURLSOCKTYPE_IPCXN || !transfer.rules_.allows(address->addr)) {
    transfer.forbidden_ = true;
    return CURL_SOCKET_BAD;
  }
  transfer.connected_ = true;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

size_t Transfer::take_header(char* bytes, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.header_bytes_ += size * count;
  if (transfer.header_bytes_ > kMaxHeaderBytes) return 0;
  const std::string_view line(bytes, size * count);
  if (line.starts_with("HTTP/")) {  // what came before was an interim answer
    transfer.location_.clear();
    transfer.packed_ = false;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size * count;
  const std::string name = ascii_lower(trimmed(line.substr(0, colon)));
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (name == "location" && transfer.location_.empty()) transfer.location_ = value;
  if (name == "content-encoding" && !value.empty() && ascii_lower(value) != "identity")
    transfer.packed_ = true;
  return size * count;
}

size_t Transfer::take_body(char* bytes, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.status() != 200 || transfer.packed_) return 0;  // nobody wants it
  try {
    transfer.content_.add(bytes, size * count);
    return size * count;
  } catch (...) {  // not through libcurl's frames
    transfer.failed_ = std::current_exception();
    return 0;
  }
}

long Transfer::status() const {
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  return status;
}

void Transfer::set_up(Clock::time_point deadline, const DownloadLimits& limits) {
  CURL* easy = easy_.get();
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  const long left_ms = static_cast<long>(std::max<int64_t>(left, 1));
  curl_easy_setopt(easy, CURLOPT_CURLU, url_.handle());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // not even that of the environment
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields_.get());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "videollama3");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a resolver that hangs is not waited for
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, left_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   std::min(left_ms, static_cast<long>(options_.connect_timeout.count())));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(options_.stall_bytes_per_s));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.stall_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
                   static_cast<curl_off_t>(std::max<uint64_t>(limits.max_bytes, 1)));
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
}

CURLcode Transfer::perform(const std::function<bool()>& cancelled) {
  const std::unique_ptr<CURLM, FreeMulti> multi(curl_multi_init());
  require(multi != nullptr, ErrorCode::kOutOfMemory, "[download] no memory");
  // Taken out again before either is freed.
  struct Added {
    CURLM* multi;
    CURL* easy;
    ~Added() { curl_multi_remove_handle(multi, easy); }
  } const added{multi.get(), easy_.get()};
  curl_multi_add_handle(multi.get(), easy_.get());
  for (int running = 1; running > 0;) {
    require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[download] cancelled");
    if (curl_multi_perform(multi.get(), &running) != CURLM_OK) return CURLE_FAILED_INIT;
    if (running > 0) curl_multi_poll(multi.get(), nullptr, 0, kAskedEvery_ms, nullptr);
  }
  int left = 0;
  const CURLMsg* message = curl_multi_info_read(multi.get(), &left);
  return message != nullptr && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
}

void Transfer::judge_status(long status) {
  if (status == 200) return;
  if (status >= 500 || status == 408 || status == 429)
    fail_with(Failure::kUpstream,
              fmt::format("could not be fetched: its server answered with status {}", status));
  if (status >= 400)
    fail_with(Failure::kRefused, fmt::format("was refused by its server with status {}", status));
  fail_with(Failure::kUnusable,
            fmt::format("was answered by its server with status {}, which has no content", status));
}

std::string Transfer::judge(CURLcode code) {
  if (failed_) std::rethrow_exception(failed_);
  const long status = this->status();
  if (forbidden_ && !connected_)
    fail_with(Failure::kForbiddenAddress, "leads to an address that is not public, nor one that was allowed");
  if (code == CURLE_OPERATION_TIMEDOUT)
    fail_with(Failure::kTimeout, "could not be fetched in the time that is allowed");
  if (header_bytes_ > kMaxHeaderBytes)
    fail_with(Failure::kUpstream,
              fmt::format("was answered with more than {} bytes of headers", kMaxHeaderBytes));
  const bool headers_came = code == CURLE_OK || code == CURLE_WRITE_ERROR ||
                            code == CURLE_FILESIZE_EXCEEDED || code == CURLE_PARTIAL_FILE;
  if (headers_came && is_redirect(status) && !location_.empty()) return location_;
  if (headers_came && status != 0) judge_status(status);
  if (packed_) fail_with(Failure::kUnusable, "comes compressed, though it was asked for as it is");
  switch (code) {
    case CURLE_OK:
      break;
    case CURLE_FILESIZE_EXCEEDED:
      fail_with(Failure::kTooLarge, "has more bytes than the limit");
    case CURLE_URL_MALFORMAT:  // letters that no name of a host has
      fail_with(Failure::kBadUrl, "is an address whose host is none");
    case CURLE_COULDNT_RESOLVE_HOST:
      fail_with(Failure::kRefused, "names a host that is not known");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      fail_with(Failure::kUpstream, "was answered by its server with what is no HTTP");
    case CURLE_OUT_OF_MEMORY:  // of libcurl's own bound for one line of a header
      fail_with(Failure::kUpstream, "was answered by its server with headers that are too long");
    case CURLE_PARTIAL_FILE:
      fail_with(Failure::kUpstream, "was cut off by its server before its end");
    case CURLE_COULDNT_CONNECT:
      fail_with(Failure::kUpstream, "could not be fetched: no connection to its server");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
      fail_with(Failure::kUpstream,
                "could not be fetched: its server's certificate or encryption is not accepted");
    default:
      fail_with(Failure::kUpstream, fmt::format("could not be fetched: {}", curl_easy_strerror(code)));
  }
  if (content_.size() == 0) fail_with(Failure::kUnusable, "is empty");
  return {};
}

std::string Transfer::run(Clock::time_point deadline, const DownloadLimits& limits,
                          const std::function<bool()>& cancelled) {
  set_up(deadline, limits);
  return judge(perform(cancelled));
}

}  // namespace vl3::download
