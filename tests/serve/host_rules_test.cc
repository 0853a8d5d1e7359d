#include "serve/host_rules.h"

#include <gtest/gtest.h>

#include "vl3/error.h"

namespace vl3::serve {
namespace {

TEST(HostRules, AuthoritiesAreReadInOneWay) {
  EXPECT_EQ(parse_authority("LocalHost:80")->host, "localhost");
  EXPECT_EQ(parse_authority("a.example.")->host, "a.example");
  EXPECT_EQ(parse_authority("[::1]:8080")->host, "::1");
  EXPECT_EQ(parse_authority("[::1]:8080")->port, 8080);
  EXPECT_FALSE(parse_authority("[::1]")->port);
  for (const char* text : {"", ":80", "a:", "a:b", "a:65536", "a:1:2", "::1", "[::1", "[x]", "[::1]80", "a b",
                           "a@b", "a,b", "a/b", "a\\b", "."})
    EXPECT_FALSE(parse_authority(text)) << text;
}

TEST(HostRules, OnLoopbackItsOwnNamesAloneAreAnswered) {
  for (const char* address : {"127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.5"}) {
    const HostRules rules(address, {"chat.example"});
    for (const char* host : {"localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080", "Chat.Example:443"})
      EXPECT_TRUE(rules.answers_to(host)) << address << host;
    for (const char* host : {"evil.example", "localhost.evil.example", "93.184.216.34", "", "[2001:db8::1]"})
      EXPECT_FALSE(rules.answers_to(host)) << address << host;
  }
}

TEST(HostRules, ElsewhereAddressesCannotBeBoundToAnythingElse) {
  const HostRules rules("0.0.0.0", {});
  for (const char* host : {"localhost", "93.184.216.34:80", "[2001:db8::1]"})
    EXPECT_TRUE(rules.answers_to(host));
  EXPECT_FALSE(rules.answers_to("evil.example"));
  EXPECT_TRUE(HostRules("gpu.example", {}).answers_to("gpu.example:8080"));
  EXPECT_TRUE(HostRules("127.0.0.1", {"*"}).answers_to("anything.example"));
  EXPECT_FALSE(HostRules("127.0.0.1", {"*"}).answers_to("<script>"));
  EXPECT_THROW(HostRules("127.0.0.1", {"https://chat.example"}), Error);
  EXPECT_THROW(HostRules("127.0.0.1", {"chat.example:80"}), Error);
}

TEST(HostRules, PagesOfThisServerAreKnownByTheirOrigin) {
  EXPECT_TRUE(HostRules::same_origin("http://localhost:8080", "localhost:8080"));
  EXPECT_TRUE(HostRules::same_origin("https://chat.example", "chat.example"));
  EXPECT_TRUE(HostRules::same_origin("https://chat.example", "chat.example:443"));
  EXPECT_TRUE(HostRules::same_origin("http://[::1]:8080", "[::1]:8080"));
  for (const char* origin :
       {"null", "", "file://", "http://localhost", "http://localhost:8081", "http://127.0.0.1:8080",
        "http://localhost:8080.evil", "ftp://localhost:8080", "http://x@localhost:8080"})
    EXPECT_FALSE(HostRules::same_origin(origin, "localhost:8080")) << origin;
}

}  // namespace
}  // namespace vl3::serve
