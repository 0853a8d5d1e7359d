#pragma once
// Which addresses media may be fetched from.

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vl3::download {

// An address of either family as 128 bits; those of IPv4 in the form ::ffff:a.b.c.d.
using Address = std::array<uint8_t, 16>;

// Addresses that share their first bits: "10.0.0.0/8", "fd00::/8", or one address alone.
struct Block {
  Address address{};
  int bits = 128;  // of the 128
  bool contains(const Address& other) const noexcept;
};
// Throws kInvalidArgument, naming the text.
Block parse_block(std::string_view text);

// "192.0.2.1", "2001:db8::1", and nothing else: no short forms, no zone, no brackets.
std::optional<Address> parse_address(const std::string& text);

// Lets through what the whole world can reach, and the blocks that were allowed beside it. Left out are
// private, loopback, link-local and shared addresses, those of documentation and benchmarks, multicast and
// reserved ones, and all forms in which IPv6 carries an address of IPv4 (mapped, compatible, NAT64, 6to4,
// Teredo): what is behind them cannot be told. An allowed block of IPv4 counts for mapped addresses too.
class AddressRules {
 public:
  // allowed: as parse_block reads them, and throws.
  explicit AddressRules(const std::vector<std::string>& allowed = {});
  bool allows(const Address& address) const noexcept;
  // False for families other than IPv4 and IPv6.
  bool allows(const sockaddr& address) const noexcept;

 private:
  std::vector<Block> allowed_, special_;
  Block global_v6_;
};

}  // namespace vl3::download
