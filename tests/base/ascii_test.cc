#include "base/ascii.h"

#include <gtest/gtest.h>

namespace vl3 {
namespace {

TEST(Ascii, OnlyItsLettersAreLowered) {
  EXPECT_EQ(ascii_lower("Content-TYPE: @[`{ \xC3\x89Z"), "content-type: @[`{ \xC3\x89z");
  EXPECT_EQ(ascii_lower(""), "");
}

TEST(Ascii, BlanksGoFromBothEnds) {
  EXPECT_EQ(trimmed(" \ta b\t ", " \t"), "a b");
  EXPECT_EQ(trimmed("\ta ", " "), "\ta");
  EXPECT_EQ(trimmed(" \t ", " \t"), "");
  EXPECT_EQ(trimmed("", " "), "");
}

}  // namespace
}  // namespace vl3
