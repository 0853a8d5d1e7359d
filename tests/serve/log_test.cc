#include "serve/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

namespace vl3::serve {
namespace {

TEST(Log, ALineCannotBeginAnother) {
  for (const bool json : {false, true}) {
    const std::string line = log_line(json, "T", Level::kWarning, "event", "a\nFORGED\xe2\x80\xa8X",
                                      {{"path", "b\r\nFORGED \"quoted\""}, {"n", 3}});
    EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
    EXPECT_EQ(line.find('\r'), std::string::npos);
    EXPECT_EQ(line.find('\xe2'), std::string::npos);
  }
  const Json line = Json::parse(log_line(true, "T", Level::kError, "event", "said", {{"n", 3}, {"s", "x"}}));
  EXPECT_EQ(line["level"], "error");
  EXPECT_EQ(line["message"], "said");
  EXPECT_EQ(line["n"], 3);
  EXPECT_EQ(log_line(false, "T", Level::kInfo, "event", "said", {{"a", "b c"}, {"d", "e"}}),
            "T info event a=\"b c\" d=e: said\n");
  EXPECT_LT(log_text(std::string(1000, 'x')).size(), 200u);
}

TEST(Log, WritesAllBeforeItEnds) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  {
    Log log(ends[1], true);
    for (int i = 0; i < 100; ++i) log.add(Level::kInfo, "n", "", {{"i", i}});
  }
  close(ends[1]);
  std::string text;
  std::array<char, 65536> buffer{};
  for (ssize_t n = 0; (n = read(ends[0], buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<size_t>(n));
  close(ends[0]);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 100);
  EXPECT_NE(text.find("\"i\":99"), std::string::npos);
}

TEST(Log, APipeThatNobodyEmptiesHoldsNobodyUp) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  {
    Log log(ends[1], false);
    for (int i = 0; i < 20'000; ++i) log.add(Level::kInfo, "full", std::string(100, 'x'));
  }  // comes here though nobody reads
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace vl3::serve
