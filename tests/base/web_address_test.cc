#include "base/web_address.h"

#include <gtest/gtest.h>

namespace vl3 {
namespace {

TEST(WebAddress, IsToldFromPaths) {
  for (const char* text : {"http://a", "https://a/b.png", "HTTPS://A", "Http://a"})
    EXPECT_TRUE(is_web_address(text)) << text;
  for (const char* text :
       {"", "http:/a", "a/http://b", "ftp://a", "file:///a", "https", "data:,x", "http:\\\\a"})
    EXPECT_FALSE(is_web_address(text)) << text;
}

TEST(WebAddress, WhatIsShownHasNoKeys) {
  const std::pair<const char*, const char*> shown[] = {
      {"https://example.com/a/b.png?token=s3cret#x", "https://example.com/a/b.png"},
      {"https://example.com?token=s3cret", "https://example.com"},
      {"https://example.com/a#s3cret", "https://example.com/a"},
      {"https://me:s3cret@example.com:8443/a.png", "https://example.com:8443/a.png"},
      {"https://me:s3cret@x@example.com/a@b.png", "https://example.com/a@b.png"},
      {"https://s3cret\\@example.com/a", "https://s3cret\\@example.com/a"},
      {"ftp://me:s3cret@example.com/a", "ftp://example.com/a"},
      {"https://example.com/a\r\nb", "https://example.com/a??b"},
      {"photo.png?x", "photo.png"},
      {"photo?next=http://a/s3cret", "photo"}};
  for (const auto& [address, expected] : shown) EXPECT_EQ(shown_address(address), expected);
}

TEST(WebAddress, WhatIsLongIsCutBetweenCharacters) {
  std::string address = "https://example.com/";
  while (address.size() < 400) address += "é";
  const std::string shown = shown_address(address);
  EXPECT_LE(shown.size(), 203u);
  EXPECT_TRUE(shown.ends_with("é…")) << shown;
}

}  // namespace
}  // namespace vl3
