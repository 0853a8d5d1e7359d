// Sizes on the command line.

#include "cli/size_option.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "program.h"

namespace vl3::cli {
namespace {

// What an option comes to, or what is wrong with it.
std::string read(const CLI::Validator& validator, std::string text) {
  const std::string wrong = validator(text);
  return wrong.empty() ? text : "! " + wrong;
}

TEST(SizeOption, BytesHaveUnitsOrNone) {
  for (const auto& [text, bytes] :
       std::vector<std::pair<const char*, const char*>>{{"1", "1"},
                                                        {"67108864", "67108864"},
                                                        {"64M", "67108864"},
                                                        {"64mb", "67108864"},
                                                        {"64 MiB", "67108864"},
                                                        {"1.5GiB", "1610612736"},
                                                        {".5k", "512"},
                                                        {"10B", "10"},
                                                        {"1e3", "1000"},
                                                        {"2T", "2199023255552"},
                                                        {"1125899906842623", "1125899906842623"}})
    EXPECT_EQ(read(size_in_bytes(), text), bytes) << text;
}

TEST(SizeOption, GibAreMeantWhereNothingIsSaid) {
  EXPECT_EQ(read(size_in_gib(), "4"), "4");
  EXPECT_EQ(read(size_in_gib(), "0.25"), "0.25");
  EXPECT_EQ(read(size_in_gib(), "512MiB"), "0.5");
  EXPECT_EQ(read(size_in_gib(), "4 GiB"), "4");
  EXPECT_EQ(read(size_in_gib(true), "0"), "0");
}

TEST(SizeOption, WhatIsNoneIsRefusedWithValueAndLimit) {
  for (const char* text : {"", "-1", "-4GiB", "nan", "inf", "infinity", "0x10", "0x1F", "4 X", "GiB", "4GiBB",
                           "4iB", "1,5G", "1 2", "+1", "e5"}) {
    EXPECT_EQ(read(size_in_bytes(), text).find(std::string("! ") + text + " is no size"), 0U) << text;
    EXPECT_EQ(read(size_in_gib(), text).find(std::string("! ") + text + " is no size"), 0U) << text;
  }
  EXPECT_EQ(read(size_in_gib(), "1e300GiB"), "! 1e300GiB is more than 1048576 GiB, the most there may be");
  EXPECT_EQ(read(size_in_gib(), "1e400"), "! 1e400 is more than 1048576 GiB, the most there may be");
  EXPECT_EQ(read(size_in_bytes(1, 1 << 20), "1025K"), "! 1025K is more than 1 MiB, the most there may be");
  EXPECT_EQ(read(size_in_bytes(), "99999999999999999999999"),
            "! 99999999999999999999999 is more than 1048576 GiB, the most there may be");
  EXPECT_EQ(read(size_in_bytes(), "0"), "! 0 is less than 1 byte, the least there may be");
  EXPECT_EQ(read(size_in_gib(), "0"), "! 0 is less than 1 byte, the least there may be");
}

// Every option that takes a size, of every command that has it.
TEST(SizeOption, IsWhatEveryOptionOfASizeHas) {
  const std::string model = test::model();
  const std::pair<std::string, std::vector<std::string>> commands[] = {
      {"run " + model + " hi",
       {"--max-memory", "--disk-cache-size", "--media-cache-size", "--limit-clip", "--limit-file",
        "--limit-allocation"}},
      {"serve " + model, {"--kv-cache", "--cache-size", "--max-body", "--max-image", "--max-video"}},
      {"batch " + model + " -i /dev/null -o /dev/null",
       {"--kv-cache", "--cache-size", "--max-image", "--max-video"}}};
  for (const auto& [command, options] : commands) {
    for (const std::string& option : options) {
      for (const char* size : {"1e300", "1e300GiB", "-1", "nan", "inf", "0x10"}) {
        const test::Outcome outcome = test::run(command + " " + option + "=" + size);
        EXPECT_EQ(outcome.status, 2) << command << " " << option << " " << size << "\n" << outcome.err;
        EXPECT_NE(outcome.err.find(option + ": " + size + " is "), std::string::npos) << outcome.err;
      }
    }
  }
  for (const char* option : {"--limit-pixels", "--limit-frames", "--limit-duration"}) {
    for (const char* number : {"0", "-1", "nan", "1e300x"})
      EXPECT_EQ(test::run("run " + model + " hi " + option + "=" + number).status, 2)
          << option << " " << number;
  }
}

}  // namespace
}  // namespace vl3::cli
