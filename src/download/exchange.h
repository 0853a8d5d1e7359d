#pragma once
// One request over HTTP/1.1 and its reply, without what it may be redirected to. The downloader of media and
// the client of the hub stand on it; which addresses, statuses and redirects are right is theirs to say.

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "download/addresses.h"
#include "download/url.h"

namespace vl3::download {

struct ReplyHead {
  long status = 0;                                          // 0: none came
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  // The value of the first field of this name; null where there is none.
  const std::string* find(std::string_view name) const noexcept;
  // The same; "" where there is none.
  std::string value(std::string_view name) const;
  // One more line of it. Its first line empties it: what came before was an interim answer.
  void add_line(std::string_view line);
};

inline constexpr int64_t kStallBytesPerS = 512;

struct ExchangeOptions {
  bool head_alone = false;              // HEAD in place of GET
  std::vector<std::string> fields;      // "Name: value", beside Accept-Encoding: identity
  const AddressRules* rules = nullptr;  // which addresses may be connected to; null: any
  std::vector<std::string> connect_to;  // "HOST:PORT:ADDRESS:PORT": where a host is, in place of asking
  std::string certificates;             // a file of authorities (PEM); empty: the system's
  bool environment_proxy = false;       // whether https_proxy and its kin count
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::milliseconds timeout{0};   // of all of it; 0: as long as bytes come
  std::chrono::seconds stall_timeout{5};  // with less than stall_bytes_per_s
  int64_t stall_bytes_per_s = kStallBytesPerS;
  uint64_t max_bytes = 0;  // a reply that says it is longer is not read; 0: any
};

// What to do with a reply, on the thread that asked. Either may throw: the exchange ends, and its outcome
// has the exception.
struct ReplySink {
  std::function<bool(const ReplyHead&)> head;  // before the first byte of a body: whether anybody wants it
  std::function<void(std::string_view)> body;  // pieces as they come
};

// How it went. A reply of any status is none that failed.
class Outcome {
 public:
  ReplyHead head;

  // Whether the head came whole, so that its status may be judged.
  bool head_came() const noexcept;
  // Throws what the sink threw, and DownloadError where no reply came that could be judged: a forbidden
  // address, the time was up, headers without an end.
  void check_head() const;
  // Throws DownloadError unless the reply came to its end.
  void check_end() const;

 private:
  friend class Exchanger;
  CURLcode code_ = CURLE_FAILED_INIT;
  bool forbidden_ = false;  // an address was not let through, and no other was connected to
  bool too_long_ = false;   // the headers
  long verified_ = 0;       // what the library of TLS found wrong with a certificate
  std::exception_ptr failed_;
};

// Makes requests, one at a time. Connections stay open between the requests of one Exchanger if it is to
// keep them.
class Exchanger {
 public:
  explicit Exchanger(bool keep_connections = false);
  // Throws Error kCancelled within a tenth of a second of cancelled() saying so, and kOutOfMemory.
  Outcome run(const Url& url, const ExchangeOptions& options, const ReplySink& sink,
              const std::function<bool()>& cancelled);

 private:
  struct FreeMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  CURLcode perform(CURL* easy, const std::function<bool()>& cancelled);
  bool keep_connections_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
};

}  // namespace vl3::download
