#pragma once
// Addresses of the web as requests name them, taken apart once: what is checked here is what is fetched, by
// the same parser (libcurl's), as two parsers would not agree on all of them.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct Curl_URL;

namespace vl3::download {

inline constexpr size_t kMaxUrlBytes = 8192;

class Url {
 public:
  // http: and https: alone. Throws kInvalidArgument in words that begin with "is" or "has" ("names a user or
  // a password, …"): for another scheme, control characters, backslashes and spaces, a user or password, a
  // host that is missing or written with % or a zone, a port that is none or that browsers do not go to, and
  // more than kMaxUrlBytes.
  explicit Url(std::string_view text);
  Url(Url&&) noexcept;
  Url& operator=(Url&&) noexcept;
  ~Url();

  // Where a Location field leads from here, relative or not. Throws as the constructor does, and for an
  // address without encryption where this one has it.
  Url follow(std::string_view location) const;

  const std::string& host() const noexcept { return host_; }  // without brackets
  bool encrypted() const noexcept { return encrypted_; }
  std::string text() const;    // as it is fetched, without its fragment
  std::string origin() const;  // "https://name:443": who it is that gets a request
  Curl_URL* handle() const noexcept { return handle_.get(); }

 private:
  struct Free {
    void operator()(Curl_URL* url) const;
  };
  Url();
  void set(const std::string& text);
  std::unique_ptr<Curl_URL, Free> handle_;
  std::string host_;
  bool encrypted_ = false;
};

}  // namespace vl3::download
