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
    expect_failure(ErrorCode::kFormat, {"[x] is not valid JSON at line 1, column "},
                   [&] { parse_json(text, "x"); });
}

// The place and what is wrong there, in words of nobody's parser.
TEST(ParseJson, WhereItBreaksIsTold) {
  const auto fault = [](const std::string& text) {
    std::string words;
    try {
      parse_json(text, "x");
    } catch (const Error& error) {
      words = error.what();
    }
    for (const char* of_the_parser : {"exception", "parse error", "syntax error", "parsing value"})
      EXPECT_EQ(words.find(of_the_parser), std::string::npos) << words;
    try {
      parse_json_table(text, "x");
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), words);
    }
    return words;
  };
  const std::string third = fault("{\n  \"a\": 1,\n  b: 2\n}");
  EXPECT_EQ(third.find("[x] is not valid JSON at line 3, column 3 (byte 15 of 20): invalid literal"), 0U)
      << third;
  EXPECT_TRUE(third.ends_with("; expected string literal")) << third;
  EXPECT_NE(fault("{\"a\": [1, 2}").find("line 1, column 12 (byte 12 of 12): unexpected '}'; expected ']'"),
            std::string::npos)
      << fault("{\"a\": [1, 2}");
  EXPECT_NE(fault("{\"a\": 1").find("(byte 7 of 7): unexpected end of input; expected '}'"),
            std::string::npos)
      << fault("{\"a\": 1");
  EXPECT_NE(fault("[1,\n 1e999, 2]").find("at line 2, column 6 (byte 10 of 14): number overflow"),
            std::string::npos)
      << fault("[1,\n 1e999, 2]");
  EXPECT_NE(fault("").find("at line 1, column 0 (byte 0 of 0): "), std::string::npos) << fault("");
  EXPECT_NE(fault("[\"a\nb\"]").find("at line 1, column 4 (byte 4 of 7): invalid string"), std::string::npos)
      << fault("[\"a\nb\"]");
  const std::string long_one = fault("[\"" + std::string(5000, 'a') + "\xff\"]");
  EXPECT_LT(long_one.size(), 400U);
  EXPECT_NE(long_one.find("ill-formed UTF-8"), std::string::npos) << long_one;
  EXPECT_EQ(Json(long_one).dump().find('\xff'), std::string::npos);  // which throws for what is not UTF-8
}

TEST(ParseJson, ANumberThatIsTooLargeIsRefused) {
  for (const char* text : {"1e999", "{\"a\": [-1E400]}", "7E8015...."})
    expect_failure(ErrorCode::kFormat, {"[x] is not valid JSON at line 1, column ", "number overflow"},
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
