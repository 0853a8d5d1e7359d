// JSON from strangers: what is taken, and what is refused with which code.

#include "serve/strict_json.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "serve/api_error.h"

namespace vl3::serve {
namespace {

std::string code_of(const std::string& text) {
  try {
    parse_strictly(text);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(std::string(error.what()).find("nlohmann"), std::string::npos);
    return error.code;
  }
  return "";
}

TEST(StrictJson, GivesWhatTheLibraryGives) {
  for (const char* text :
       {"null", "true", "-7", "1.5e3", "\"\\u00e9\\n\"", "[]", "{}", "[1,[2,{\"a\":[]}],\"x\"]",
        "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":18446744073709551615}", " [ 1 , 2 ] "})
    EXPECT_EQ(parse_strictly(text), Json::parse(text)) << text;
  EXPECT_EQ(parse_strictly("{\"b\":1,\"a\":2}").dump(), "{\"b\":1,\"a\":2}") << "the order of keys stays";
}

TEST(StrictJson, RefusesWhatIsNone) {
  for (const std::string& text : {std::string(),
                                  std::string("  "),
                                  std::string("{\"a\":"),
                                  std::string("{\"a\":1} x"),
                                  std::string("{\"a\":1}{\"a\":1}"),
                                  std::string("[1,]"),
                                  std::string("{'a':1}"),
                                  std::string("{a:1}"),
                                  std::string("NaN"),
                                  std::string("[Infinity]"),
                                  std::string("[1e999]"),
                                  std::string("[-1e999]"),
                                  std::string("[0x10]"),
                                  std::string("[007]"),
                                  std::string("[+5]"),
                                  std::string("[.5]"),
                                  std::string("{\"a\":1\0}", 8),
                                  std::string("\"\n\""),
                                  std::string("\"\\x41\""),
                                  std::string("\"\xff\""),
                                  std::string("\xff\xfe{\0}\0", 6)})
    EXPECT_EQ(code_of(text), "invalid_json") << text;
}

TEST(StrictJson, RefusesAKeyThatComesTwiceInOneObject) {
  EXPECT_EQ(code_of("{\"a\":1,\"b\":2,\"a\":3}"), "duplicate_key");
  EXPECT_EQ(code_of("{\"m\":[{\"role\":\"user\",\"role\":\"system\"}]}"), "duplicate_key");
  EXPECT_EQ(code_of("{\"a\":1,\"\\u0061\":2}"), "duplicate_key") << "however it is spelt";
  EXPECT_EQ(code_of("{\"a\":{\"a\":1},\"b\":{\"a\":1}}"), "") << "in other objects it may";
}

TEST(StrictJson, IsBoundedInDepth) {
  const std::string at_most = std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']');
  EXPECT_EQ(code_of(at_most), "");
  EXPECT_EQ(code_of("[" + at_most + "]"), "too_deep");
  EXPECT_EQ(code_of(std::string(1000000, '[')), "too_deep");
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_EQ(code_of(objects), "too_deep");
}

// Looking every key up in its object one by one would take minutes here.
TEST(StrictJson, ManyKeysTakeLinearTime) {
  std::string text = "{";
  constexpr int kKeys = 300000;
  for (int i = 0; i < kKeys; ++i) text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":1";
  EXPECT_EQ(parse_strictly(text + "}").size(), static_cast<size_t>(kKeys));
  EXPECT_EQ(code_of(text + ",\"7\":1}"), "duplicate_key");
}

}  // namespace
}  // namespace vl3::serve
