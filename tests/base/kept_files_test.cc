#include "base/kept_files.h"

#include "support/support.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

TEST(KeptFiles, WhatWasUsedLongestAgoGoesFirstAndWhole) {
  const test::TemporaryFolder folder;
  const auto now = fs::file_time_type::clock::now();
  const auto made = [&](const std::string& name) {
    test::write_text(folder / name, "12345");
    return folder / name;
  };
  const auto three = [&] {
    return std::vector<KeptFiles>{{now, 10, {made("new"), made("new.part")}},
                                  {now - std::chrono::hours(2), 10, {made("old"), made("old.part")}},
                                  {now - std::chrono::hours(1), 10, {made("between"), folder / "gone"}}};
  };
  remove_longest_unused(three(), 30);
  EXPECT_TRUE(fs::exists(folder / "old"));
  remove_longest_unused(three(), 29);
  EXPECT_FALSE(fs::exists(folder / "old"));
  EXPECT_FALSE(fs::exists(folder / "old.part"));
  EXPECT_TRUE(fs::exists(folder / "between"));
  remove_longest_unused(three(), 10);
  EXPECT_FALSE(fs::exists(folder / "between"));
  EXPECT_TRUE(fs::exists(folder / "new.part"));
  remove_longest_unused({}, 0);
}

}  // namespace
}  // namespace vl3
