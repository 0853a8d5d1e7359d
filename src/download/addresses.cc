#include "download/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/check.h"

namespace vl3::download {
namespace {

constexpr int kMappedBits = 96;  // of ::ffff:0:0/96, which addresses of IPv4 lie in

// IANA's registries of special addresses: those that are not globally reachable, and those of translation.
constexpr const char* kSpecialV4[] = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10",   "127.0.0.0/8",     "169.254.0.0/16",
    "172.16.0.0/12",  "192.0.0.0/24",   "192.0.2.0/24",    "192.31.196.0/24", "192.52.193.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",   "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4"};
// Of IPv6 only 2000::/3 is given out; these lie in it.
constexpr const char* kGlobalV6 = "2000::/3";
constexpr const char* kSpecialV6[] = {"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
                                      "2620:4f:8000::/48"};

bool is_v4(const Address& address) noexcept {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(std::begin(kPrefix), std::end(kPrefix), address.begin());
}

Address mapped(const void* v4) noexcept {
  Address address{};
  address[10] = address[11] = 0xff;
  std::memcpy(address.data() + 12, v4, 4);
  return address;
}

bool in_any(const std::vector<Block>& blocks, const Address& address) noexcept {
  return std::any_of(blocks.begin(), blocks.end(), [&](const Block& b) { return b.contains(address); });
}

}  // namespace

bool Block::contains(const Address& other) const noexcept {
  const int whole = bits / 8, rest = bits % 8;
  if (!std::equal(address.begin(), address.begin() + whole, other.begin())) return false;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  const auto at = static_cast<size_t>(whole);
  return (address[at] & mask) == (other[at] & mask);
}

std::optional<Address> parse_address(const std::string& text) {
  in_addr v4{};
  if (text.size() != std::strlen(text.c_str())) return {};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return mapped(&v4);
  Address v6{};
  if (::inet_pton(AF_INET6, text.c_str(), v6.data()) == 1) return v6;
  return {};
}

Block parse_block(std::string_view text) {
  const size_t slash = std::min(text.find('/'), text.size());
  const std::optional<Address> address = parse_address(std::string(text.substr(0, slash)));
  require(
      address.has_value(), ErrorCode::kInvalidArgument,
      "[allow-media-address] \"{}\" is no address and no block of addresses such as 10.0.0.0/8 or fd00::/8",
      text);
  const bool v4 = text.substr(0, slash).find(':') == std::string_view::npos;
  const int most = v4 ? 32 : 128;
  int bits = most;
  if (slash < text.size()) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    require(error == std::errc() && end == digits.data() + digits.size() && bits >= 0 && bits <= most,
            ErrorCode::kInvalidArgument,
            "[allow-media-address] \"{}\" should have a number from 0 to {} behind its slash", text, most);
  }
  return {*address, v4 ? kMappedBits + bits : bits};
}

AddressRules::AddressRules(const std::vector<std::string>& allowed) : global_v6_(parse_block(kGlobalV6)) {
  for (const char* block : kSpecialV4) special_.push_back(parse_block(block));
  for (const char* block : kSpecialV6) special_.push_back(parse_block(block));
  for (const std::string& block : allowed) allowed_.push_back(parse_block(block));
}

bool AddressRules::allows(const Address& address) const noexcept {
  if (in_any(allowed_, address)) return true;
  return (is_v4(address) || global_v6_.contains(address)) && !in_any(special_, address);
}

bool AddressRules::allows(const sockaddr& address) const noexcept {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return allows(mapped(&v4.sin_addr));
  }
  if (address.sa_family != AF_INET6) return false;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  Address bytes{};
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  // A mapped address is one of IPv4 written so that it is not seen as one: only where that was allowed.
  return is_v4(bytes) ? in_any(allowed_, bytes) : allows(bytes);
}

}  // namespace vl3::download
