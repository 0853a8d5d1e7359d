// Times that replies tell, in the forms in which models write them.

#include "eval/spans.h"

#include <gtest/gtest.h>

#include <string>

namespace vl3::eval {
namespace {

std::string shown(const char* text) {
  std::string result;
  for (const Span& span : spans_in(text)) {
    char one[64];
    std::snprintf(one, sizeof one, "%s%g-%g", result.empty() ? "" : " ", span.begin_s, span.end_s);
    result += one;
  }
  return result;
}

TEST(Spans, AreReadInTheFormsOfModels) {
  const std::pair<const char*, const char*> texts[] = {
      {"from 24.3 to 30.4", "24.3-30.4"},
      {"24.3 - 30.4 seconds", "24.3-30.4"},
      {"The event happens from 24.3s to 30.4s.", "24.3-30.4"},
      {"24.3 seconds – 30.4 seconds", "24.3-30.4"},
      {"between 3 and 5 s, and from 7.5 s until 9", "3-5 7.5-9"},
      {"0:24 - 1:05.5", "24-65.5"},
      {"01:00:24 to 01:00:30", "3624-3630"},
      {"[24.3, 30.4]", "24.3-30.4"},
      {"{\"start\": 24.3, \"end\": 30.4}", "24.3-30.4"},
      {"Start: 24.3 s\nEnd: 30.4 s", "24.3-30.4"},
      {"Query 1: 24, 30", "24-30"},  // an odd count: the first is left out
      {"30 to 24", "24-30"},
      {".5 to .75", "0.5-0.75"},
      {"at 5", ""},
      {"it never happens", ""},
      {"", ""},
      {"1:2 3:4", "1-2 3-4"},  // no clocks
      {"24 s to 30 s; the clip has 60 s", "24-30"}};
  for (const auto& [text, expected] : texts) EXPECT_EQ(shown(text), expected) << text;
}

TEST(Spans, OverlapIsOfTheirUnion) {
  const Span wanted{10, 20};
  EXPECT_DOUBLE_EQ(overlap_over_union({{10, 20}}, wanted), 1);
  EXPECT_DOUBLE_EQ(overlap_over_union({{15, 25}}, wanted), 5.0 / 15);
  EXPECT_DOUBLE_EQ(overlap_over_union({{0, 40}}, wanted), 0.25);
  EXPECT_DOUBLE_EQ(overlap_over_union({{20, 30}}, wanted), 0);
  EXPECT_DOUBLE_EQ(overlap_over_union({}, wanted), 0);
  EXPECT_DOUBLE_EQ(overlap_over_union({{12, 12}}, wanted), 0);
  EXPECT_DOUBLE_EQ(overlap_over_union({{16, 20}, {10, 14}}, wanted), 0.8);
  EXPECT_DOUBLE_EQ(overlap_over_union({{10, 20}, {10, 20}, {12, 14}}, wanted), 1) << "counted once";
  EXPECT_LT(overlap_over_union(spans_in("0 to " + std::string(400, '9')), wanted), 1e-6);
}

}  // namespace
}  // namespace vl3::eval
