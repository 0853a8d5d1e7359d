#pragma once
// One request of a download, without what it may redirect to.

#include <curl/curl.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "download/download.h"
#include "download/url.h"

namespace vl3::download {

using Clock = std::chrono::steady_clock;

// Takes what comes: into memory, and from some size on into a file.
class Content {
 public:
  Content(uint64_t max_bytes, const DownloaderOptions& options) : max_bytes_(max_bytes), options_(options) {}
  void add(const char* bytes, size_t count);  // throws DownloadError kTooLarge, kNoSpace
  Downloaded take();
  uint64_t size() const noexcept { return size_; }

 private:
  void begin_file();
  void write(const char* bytes, size_t count);
  uint64_t max_bytes_;
  const DownloaderOptions& options_;
  std::string bytes_;
  OpenFile writable_, readable_;
  uint64_t size_ = 0;
};

struct Transfer {
  Transfer(const Url& url, const DownloaderOptions& options, const AddressRules& rules, Content& content);
  // Where it is redirected to; empty when the content has come. Throws as Downloader::get.
  std::string run(Clock::time_point deadline, const DownloadLimits& limits,
                  const std::function<bool()>& cancelled);

 private:
  struct FreeEasy {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct FreeMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static size_t take_header(char* bytes, size_t size, size_t count, void* self);
  static size_t take_body(char* bytes, size_t size, size_t count, void* self);

  void set_up(Clock::time_point deadline, const DownloadLimits& limits);
  CURLcode perform(const std::function<bool()>& cancelled);
  long status() const;
  std::string judge(CURLcode code);
  void judge_status(long status);

  const Url& url_;
  const DownloaderOptions& options_;
  const AddressRules& rules_;
  Content& content_;
  std::unique_ptr<curl_slist, FreeList> fields_;
  std::unique_ptr<CURL, FreeEasy> easy_;
  bool forbidden_ = false;  // an address was not let through
  bool connected_ = false;  // another was
  size_t header_bytes_ = 0;
  bool packed_ = false;  // the content comes compressed
  std::string location_;
  std::exception_ptr failed_;  // what the content threw
};

}  // namespace vl3::download
