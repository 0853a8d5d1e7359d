// JSON of others: what is none is refused by name, whatever it is.

#include "base/json.h"

#include <gtest/gtest.h>

#include "support/expect_failure.h"

namespace vl3 {
namespace {

using test::expect_failure;

TEST(ParseJson, WhatIsNoneIsRefusedByName) {
  EXPECT_EQ(parse_json("\xef\xbb\xbf{\"a\": [1, -2.5]}", "x")["a"][1], -2.5);
  for (const std::string& text : {std::string(), std::string("{"), std::string("[1,]"), std::string("nan"),
                                  std::string("\"\xff\""), std::string("\"\\ud800\""), std::string("1 2")})
    expect_failure(ErrorCode::kFormat, {"[x] is not valid JSON: parse error at line 1"},
                   [&] { parse_json(text, "x"); });
}

TEST(ParseJson, ANumberThatIsTooLargeIsRefused) {
  for (const char* text : {"1e999", "{\"a\": [-1E400]}", "7E8015...."})
    expect_failure(ErrorCode::kFormat, {"[x] is not valid JSON: number overflow"},
                   [&] { parse_json(text, "x"); });
  EXPECT_EQ(parse_json("1e-999", "x"), 0);
}

TEST(ParseJson, DepthHasALimit) {
  const auto nested = [](int levels) {
    return std::string(static_cast<size_t>(levels), '[') + std::string(static_cast<size_t>(levels), ']');
  };
  EXPECT_NO_THROW(parse_json(nested(kMaxJsonDepth), "x"));
  expect_failure(ErrorCode::kFormat, {"[x]", "nested deeper"},
                 [&] { parse_json(nested(kMaxJsonDepth + 2), "x"); });
}

}  // namespace
}  // namespace vl3
