// Addresses of the web: what is taken apart is what is fetched, and what parsers disagree about is refused.

#include "download/url.h"

#include "support/support.h"
#include "vl3/error.h"

namespace vl3::download {
namespace {

TEST(Url, HostsAreReadAsTheyAreFetched) {
  const std::pair<const char*, const char*> hosts[] = {{"http://example.com/x.png", "example.com"},
                                                       {"HTTPS://Example.com", "Example.com"},
                                                       {"http://2130706433:8080/x", "127.0.0.1"},
                                                       {"http://0x7f.1/x", "127.0.0.1"},
                                                       {"http://017700000001/x", "127.0.0.1"},
                                                       {"http://127.1/x", "127.0.0.1"},
                                                       {"http://0/x", "0.0.0.0"},
                                                       {"http://[0:0:0:0:0:0:0:1]/x", "::1"},
                                                       {"http://127.0.0.1#@example.com/x", "127.0.0.1"},
                                                       {"http://127.0.0.1?@example.com/x", "127.0.0.1"},
                                                       {"http://[::ffff:7f00:1]/x", "::ffff:7f00:1"}};
  for (const auto& [text, host] : hosts) EXPECT_EQ(Url(text).host(), host) << text;
  EXPECT_TRUE(Url("HTTPS://example.com/").encrypted());
  EXPECT_FALSE(Url("http://example.com/").encrypted());
}

TEST(Url, FragmentsStayHereAndLettersBeyondAsciiAreEscaped) {
  EXPECT_EQ(Url("http://example.com/a?b=c&d=%20e#f").text(), "http://example.com/a?b=c&d=%20e");
  EXPECT_EQ(Url("http://example.com/\xc3\xbc").text(), "http://example.com/%C3%BC");
}

TEST(Url, WhatIsNoAddressOfTheWebIsRefused) {
  const std::string urls[] = {"",
                              "http://",
                              "http:///x.png",
                              "http:///127.0.0.1/x",
                              "http:127.0.0.1/x",
                              "//example.com/x",
                              "example.com/x",
                              "ftp://example.com/x",
                              "file:///etc/passwd",
                              "gopher://example.com/_x",
                              "http://user@example.com/",
                              "http://user:word@example.com/",
                              "http://example.com:80@127.0.0.1/",
                              "http://@example.com/",
                              "http://127.0.0.1\\@example.com/",
                              "http://example.com\\@127.0.0.1/",
                              "http://example.com/a b",
                              " http://example.com/",
                              "ht\ttp://example.com/",
                              "http://example.com\n/x",
                              "http://example.com/x\r\nX: y",
                              std::string("http://example.com/\0x", 21),
                              std::string("http://example.com\0.127.0.0.1/", 30),
                              "http://%31%32%37.0.0.1/",
                              "http://[::1%25lo]/",
                              "http://[fe80::1%25eth0]/",
                              "http://[::1/",
                              "http://example.com:0/",
                              "http://example.com:99999/",
                              "http://example.com:22/",
                              "http://example.com:6379/",
                              "http://example.com:x/",
                              "http://" + std::string(100000, 'a') + "/",
                              "http://example.com/" + std::string(kMaxUrlBytes, 'a')};
  for (const std::string& url : urls) {
    try {
      const Url parsed(url);
      ADD_FAILURE() << url.substr(0, 80) << " has the host " << parsed.host();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << url.substr(0, 80);
      EXPECT_LT(std::string(error.what()).size(), 200u);
    }
  }
}

TEST(Url, RedirectsAreReadFromWhereTheyStand) {
  const Url from("https://example.com/a/b?c");
  EXPECT_EQ(from.follow("d").text(), "https://example.com/a/d");
  EXPECT_EQ(from.follow("/d e").text(), "https://example.com/d%20e");
  EXPECT_EQ(from.follow("?f").text(), "https://example.com/a/b?f");
  EXPECT_EQ(from.follow("//other.example/x").host(), "other.example");
  EXPECT_EQ(from.follow("https://127.0.0.1:81/x").host(), "127.0.0.1");
  EXPECT_THROW(from.follow("http://other.example/x"), Error);
  EXPECT_EQ(Url("http://example.com/").follow("http://other.example/x").host(), "other.example");
  for (const char* location : {"file:///etc/passwd", "gopher://127.0.0.1/_x", "//user@example.com/",
                               "http://a\\b/", "//example.com:22/", "//[::1%25lo]/", "http:/h~%7f.0/"})
    EXPECT_THROW(from.follow(location), Error) << location;
}

}  // namespace
}  // namespace vl3::download
