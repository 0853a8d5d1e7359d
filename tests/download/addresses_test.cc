// Which addresses media come from: every block of IANA's registries at both of its ends.

#include "download/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "support/support.h"
#include "vl3/error.h"

namespace vl3::download {
namespace {

sockaddr_storage socket_address(const std::string& text) {
  sockaddr_storage storage{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1)
    v4->sin_family = AF_INET;
  else if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1)
    v6->sin6_family = AF_INET6;
  else
    ADD_FAILURE() << text;
  return storage;
}

bool allowed(const AddressRules& rules, const std::string& text) {
  const sockaddr_storage storage = socket_address(text);
  return rules.allows(reinterpret_cast<const sockaddr&>(storage));
}

TEST(Addresses, WhatIsNotPublicIsRefusedFromItsFirstToItsLast) {
  const AddressRules rules;
  for (const char* text : {"0.0.0.0",
                           "0.255.255.255",
                           "10.0.0.0",
                           "10.255.255.255",
                           "100.64.0.0",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.255",
                           "169.254.0.0",
                           "169.254.169.254",
                           "172.16.0.0",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.2.9",
                           "192.88.99.1",
                           "192.168.0.0",
                           "192.168.255.255",
                           "198.18.0.0",
                           "198.19.255.255",
                           "198.51.100.7",
                           "203.0.113.255",
                           "224.0.0.1",
                           "239.255.255.255",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::127.0.0.1",
                           "::ffff:127.0.0.1",
                           "::ffff:8.8.8.8",
                           "64:ff9b::7f00:1",
                           "64:ff9b:1::1",
                           "100::1",
                           "2001::1",
                           "2001:db8::1",
                           "2002:7f00:1::",
                           "3fff::1",
                           "5f00::1",
                           "fc00::1",
                           "fd00:ec2::254",
                           "fe80::1",
                           "fec0::1",
                           "ff02::1"})
    EXPECT_FALSE(allowed(rules, text)) << text;
}

TEST(Addresses, WhatLiesBesideThoseIsLetThrough) {
  const AddressRules rules;
  for (const char* text :
       {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "198.17.255.255",
        "198.20.0.0", "223.255.255.255", "2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450:4001::1"})
    EXPECT_TRUE(allowed(rules, text)) << text;
}

TEST(Addresses, BlocksThatWereAllowedAreLetThroughAndNothingBesideThem) {
  const AddressRules rules({"127.0.0.2/32", "10.2.0.0/15", "fd00::/9"});
  for (const char* text : {"127.0.0.2", "::ffff:127.0.0.2", "10.2.0.0", "10.3.255.255", "fd00::1", "fd7f::1"})
    EXPECT_TRUE(allowed(rules, text)) << text;
  for (const char* text :
       {"127.0.0.1", "127.0.0.3", "10.1.255.255", "10.4.0.0", "fd80::1", "::1", "::ffff:127.0.0.1"})
    EXPECT_FALSE(allowed(rules, text)) << text;
  sockaddr_storage other{};
  other.ss_family = AF_UNIX;
  EXPECT_FALSE(AddressRules({"0.0.0.0/0", "::/0"}).allows(reinterpret_cast<const sockaddr&>(other)));
}

TEST(Addresses, WhatIsNoBlockIsNamed) {
  for (const char* text : {"", "10", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x", "::/129",
                           "example.com", "0x7f.0.0.1", "127.1", "fe80::1%eth0", "[::1]"}) {
    try {
      parse_block(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("\"" + std::string(text) + "\""), std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace vl3::download
