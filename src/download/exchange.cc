#include "download/exchange.h"

#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/ascii.h"
#include "base/check.h"
#include "download/certificates.h"
#include "download/download.h"

namespace vl3::download {
namespace {

constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr int kAskedEvery_ms = 50;  // whether it was cancelled
constexpr std::string_view kBlanks = " \t\r\n";

[[noreturn]] void fail_with(Failure failure, const std::string& words) {
  throw DownloadError(failure, words);
}

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Fields = std::unique_ptr<curl_slist, FreeList>;

void append(Fields& list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  require(longer != nullptr, ErrorCode::kOutOfMemory, "[download] no memory");
  if (list == nullptr) list.reset(longer);
}

Fields fields_of(const ExchangeOptions& options) {
  Fields list;
  append(list, "Accept-Encoding: identity");
  for (const std::string& field : options.fields) append(list, field);
  return list;
}

// What libcurl's callbacks see of an exchange.
struct Running {
  const ExchangeOptions& options;
  const ReplySink& sink;
  CURL* easy;
  ReplyHead head{};
  size_t header_bytes = 0;
  bool forbidden = false, connected = false, body_began = false;
  std::exception_ptr failed{};
};

// The address here is the one that is connected to, whatever the name resolved to before or will later.
curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address) {
  auto& running = *static_cast<Running*>(self);
  const AddressRules* rules = running.options.rules;
  if (purpose != CURLSOCKTYPE_IPCXN || (rules != nullptr && !rules->allows(address->addr))) {
    running.forbidden = true;
    return CURL_SOCKET_BAD;
  }
  running.connected = true;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

size_t take_header(char* bytes, size_t size, size_t count, void* self) {
  auto& running = *static_cast<Running*>(self);
  running.header_bytes += size * count;
  if (running.header_bytes > kMaxHeaderBytes) return 0;
  running.head.add_line({bytes, size * count});
  return size * count;
}

long status_of(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

size_t take_body(char* bytes, size_t size, size_t count, void* self) {
  auto& running = *static_cast<Running*>(self);
  try {
    if (!running.body_began) {
      running.body_began = true;
      running.head.status = status_of(running.easy);
      if (running.sink.head && !running.sink.head(running.head)) return 0;
    }
    if (running.sink.body) running.sink.body({bytes, size * count});
    return size * count;
  } catch (...) {  // not through libcurl's frames
    running.failed = std::current_exception();
    return 0;
  }
}

void set_timeouts(CURL* easy, const ExchangeOptions& options) {
  const long timeout_ms = static_cast<long>(options.timeout.count());
  const long connect_ms = static_cast<long>(options.connect_timeout.count());
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   timeout_ms > 0 ? std::min(timeout_ms, connect_ms) : connect_ms);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(options.stall_bytes_per_s));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall_timeout.count()));
}

void set_up(Running& running, const Url& url, curl_slist* fields, bool keep_connections) {
  CURL* easy = running.easy;
  const ExchangeOptions& options = running.options;
  curl_easy_setopt(easy, CURLOPT_CURLU, url.handle());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NOBODY, options.head_alone ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options.environment_proxy) {
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  }
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "videollama3");
  trust_authorities(easy);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a resolver that hangs is not waited for
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, keep_connections ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, keep_connections ? 0L : 1L);
  set_timeouts(easy, options);
  if (!options.certificates.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options.certificates.c_str());
  if (options.max_bytes > 0)
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options.max_bytes));
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &running);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &running);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &running);
}

}  // namespace

const std::string* ReplyHead::find(std::string_view name) const noexcept {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == name; });
  return found == fields.end() ? nullptr : &found->second;
}

std::string ReplyHead::value(std::string_view name) const {
  const std::string* found = find(name);
  return found != nullptr ? *found : std::string();
}

void ReplyHead::add_line(std::string_view line) {
  if (line.starts_with("HTTP/")) fields.clear();
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos)
    fields.emplace_back(ascii_lower(trimmed(line.substr(0, colon), kBlanks)),
                        trimmed(line.substr(colon + 1), kBlanks));
}

// --- outcomes

namespace {

// What is wrong with a certificate; found: of OpenSSL's codes. libcurl looks at the names before it asks for
// one, so that there is none that says anything then.
std::string certificate_words(long found) {
  if (found == X509_V_OK || found == X509_V_ERR_UNSPECIFIED)
    return "could not be fetched: its server's certificate is that of another host";
  const char* library = curl_version_info(CURLVERSION_NOW)->ssl_version;
  const bool known = library != nullptr && std::string_view(library).starts_with("OpenSSL");
  return fmt::format(
      "could not be fetched: its server's certificate is not trusted here{}; SSL_CERT_FILE can name the "
      "authorities to trust",
      known ? fmt::format(" ({})", X509_verify_cert_error_string(found)) : "");
}

}  // namespace

bool Outcome::head_came() const noexcept {
  return head.status != 0 && (code_ == CURLE_OK || code_ == CURLE_WRITE_ERROR ||
                              code_ == CURLE_FILESIZE_EXCEEDED || code_ == CURLE_PARTIAL_FILE);
}

void Outcome::check_head() const {
  if (failed_) std::rethrow_exception(failed_);
  if (forbidden_)
    fail_with(Failure::kForbiddenAddress, "leads to an address that is not public, nor one that was allowed");
  if (code_ == CURLE_OPERATION_TIMEDOUT)
    fail_with(Failure::kTimeout, "could not be fetched in the time that is allowed");
  if (too_long_)
    fail_with(Failure::kUpstream,
              fmt::format("was answered with more than {} bytes of headers", kMaxHeaderBytes));
  if (!head_came()) check_end();
}

void Outcome::check_end() const {
  switch (code_) {
    case CURLE_OK:
      return;
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
      fail_with(Failure::kUntrusted, certificate_words(verified_));
    case CURLE_SSL_CACERT_BADFILE:
      fail_with(Failure::kUntrusted,
                "could not be fetched: the file of authorities to trust cannot be read (SSL_CERT_FILE, or "
                "what an option names in its place)");
    case CURLE_SSL_CONNECT_ERROR:
      fail_with(Failure::kUpstream,
                "could not be fetched: no encrypted connection to its server (TLS 1.2 or later)");
    default:
      fail_with(Failure::kUpstream, fmt::format("could not be fetched: {}", curl_easy_strerror(code_)));
  }
}

// --- exchanges

Exchanger::Exchanger(bool keep_connections) : keep_connections_(keep_connections) {
  // Thread-safe, and counted; never undone, as threads that resolve names may still run at the end.
  require(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, ErrorCode::kInternal,
          "[download] libcurl could not be set up");
  multi_.reset(curl_multi_init());
  require(multi_ != nullptr, ErrorCode::kOutOfMemory, "[download] no memory");
}

CURLcode Exchanger::perform(CURL* easy, const std::function<bool()>& cancelled) {
  // Taken out again before either is freed.
  struct Added {
    CURLM* multi;
    CURL* easy;
    ~Added() { curl_multi_remove_handle(multi, easy); }
  } const added{multi_.get(), easy};
  curl_multi_add_handle(multi_.get(), easy);
  for (int running = 1; running > 0;) {
    require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[download] cancelled");
    if (curl_multi_perform(multi_.get(), &running) != CURLM_OK) return CURLE_FAILED_INIT;
    if (running > 0) curl_multi_poll(multi_.get(), nullptr, 0, kAskedEvery_ms, nullptr);
  }
  int left = 0;
  const CURLMsg* message = curl_multi_info_read(multi_.get(), &left);
  return message != nullptr && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
}

Outcome Exchanger::run(const Url& url, const ExchangeOptions& options, const ReplySink& sink,
                       const std::function<bool()>& cancelled) {
  const Fields fields = fields_of(options);
  Fields places;
  for (const std::string& entry : options.connect_to) append(places, entry);
  const std::unique_ptr<CURL, FreeEasy> easy(curl_easy_init());
  require(easy != nullptr, ErrorCode::kOutOfMemory, "[download] no memory");
  Running running{options, sink, easy.get()};
  set_up(running, url, fields.get(), keep_connections_);
  if (places != nullptr) curl_easy_setopt(easy.get(), CURLOPT_CONNECT_TO, places.get());
  Outcome outcome;
  outcome.code_ = perform(easy.get(), cancelled);
  outcome.head = std::move(running.head);
  outcome.head.status = status_of(easy.get());
  outcome.forbidden_ = running.forbidden && !running.connected;
  outcome.too_long_ = running.header_bytes > kMaxHeaderBytes;
  outcome.failed_ = running.failed;
  curl_easy_getinfo(easy.get(), CURLINFO_SSL_VERIFYRESULT, &outcome.verified_);
  return outcome;
}

}  // namespace vl3::download
