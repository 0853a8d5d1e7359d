#include "serve/host_rules.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/ascii.h"
#include "base/check.h"
#include "http/server.h"

namespace vl3::serve {
namespace {

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
  });
}

std::optional<std::array<unsigned char, 16>> ipv6(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return std::nullopt;
  return bytes;
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::string machine_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? ascii_lower(name.data()) : "";
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  std::string_view rest;
  if (text.starts_with("[")) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    authority.host = ascii_lower(text.substr(1, end - 1));
    if (!ipv6(authority.host)) return std::nullopt;
    rest = text.substr(end + 1);
  } else {
    const size_t end = std::min(text.find(':'), text.size());
    std::string_view name = text.substr(0, end);
    if (name.ends_with(".")) name.remove_suffix(1);
    if (!is_name(name)) return std::nullopt;
    authority.host = ascii_lower(name);
    rest = text.substr(end);
  }
  if (rest.empty()) return authority;
  authority.port = parse_port(rest.substr(1));
  if (rest.front() != ':' || !authority.port) return std::nullopt;
  return authority;
}

bool is_address(const std::string& host) {
  in_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || ipv6(host).has_value();
}

bool is_loopback_address(const std::string& host) {
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) == 1) return ntohl(address.s_addr) >> 24 == 127;
  return ipv6(host) == ipv6("::1");
}

HostRules::HostRules(const std::string& listens_on, const std::vector<std::string>& allowed)
    : names_{"localhost", "127.0.0.1", "::1"} {
  const std::string own = ascii_lower(http::bare_host(listens_on));
  names_.push_back(own);
  if (own != "localhost" && !is_loopback_address(own)) {
    addresses_ = true;
    if (std::string name = machine_name(); !name.empty()) names_.push_back(std::move(name));
  }
  for (const std::string& name : allowed) {
    if (name == "*") {
      all_ = true;
      continue;
    }
    const std::optional<Authority> authority = parse_authority(name);
    require(authority && !authority->port, ErrorCode::kInvalidArgument,
            "[serve] \"{}\" is no name of a host: it is given without scheme and port", name);
    names_.push_back(authority->host);
  }
}

bool HostRules::answers_to(std::string_view host_field) const {
  const std::optional<Authority> host = parse_authority(host_field);
  if (!host) return false;
  return all_ || std::find(names_.begin(), names_.end(), host->host) != names_.end() ||
         (addresses_ && is_address(host->host));
}

bool HostRules::same_origin(std::string_view origin, std::string_view host_field) {
  const std::string text = ascii_lower(origin);
  const bool plain = text.starts_with("http://"), secure = text.starts_with("https://");
  if (!plain && !secure) return false;  // "null", "file://", …
  const std::optional<Authority> from = parse_authority(std::string_view(text).substr(plain ? 7 : 8));
  const std::optional<Authority> to = parse_authority(host_field);
  if (!from || !to) return false;
  // Behind a proxy with TLS this server cannot know the scheme, so it is the page's.
  const uint16_t usual = plain ? 80 : 443;
  return from->host == to->host && from->port.value_or(usual) == to->port.value_or(usual);
}

}  // namespace vl3::serve
