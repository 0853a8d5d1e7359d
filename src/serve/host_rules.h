#pragma once
// Which names a server answers to. A page elsewhere can bind its own name to 127.0.0.1 and so have a browser
// send requests here (DNS rebinding): such requests carry that name in Host. Another page's requests carry
// its own in Origin.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vl3::serve {

// "name", "name:80", "127.0.0.1:80", "[::1]:80": in lower case, without a last dot; an IPv6 address without
// its brackets.
struct Authority {
  std::string host;
  std::optional<uint16_t> port;
};
std::optional<Authority> parse_authority(std::string_view text);
bool is_address(const std::string& host);           // of IPv4 or IPv6
bool is_loopback_address(const std::string& host);  // 127.0.0.0/8 or ::1

class HostRules {
 public:
  // listens_on: the address or name that was given to listen on. On a loopback address: its own names alone;
  // on others also this machine's name and every address, which cannot be bound to anything else. allowed:
  // names besides; "*" stands for all.
  HostRules(const std::string& listens_on, const std::vector<std::string>& allowed);

  bool answers_to(std::string_view host_field) const;
  // The page that asks (a field Origin) came from the server that is asked (its field Host).
  static bool same_origin(std::string_view origin, std::string_view host_field);

 private:
  bool all_ = false, addresses_ = false;
  std::vector<std::string> names_;
};

}  // namespace vl3::serve
