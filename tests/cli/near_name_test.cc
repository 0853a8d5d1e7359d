#include "cli/near_name.h"

#include <gtest/gtest.h>

namespace vl3::cli {
namespace {

const std::vector<std::string> kNames = {
    "--image", "--images-off",  "--max-frames", "--max-new-tokens", "--num-frames", "--no-load",
    "--video", "--temperature", "--top-k",      "--min-new-tokens", "--fps"};

TEST(NearName, FindsWhatWasMistyped) {
  const std::pair<const char*, const char*> cases[] = {
      {"--imgae", "--image"},                // two letters swapped
      {"--iamge", "--image"},                //
      {"--imag", "--image"},                 // one left out
      {"--IMAGE", "--image"},                // case does not count
      {"--vidoe", "--video"},                //
      {"--max_frames", "--max-frames"},      // nor - against _
      {"--max-tokens", "--max-new-tokens"},  // its words
      {"--frames", "--max-frames"},          // the first that has it
      {"--temp", "--temperature"},           // its beginning
      {"--fsp", "--fps"},                    //
      {"-image", "--image"},
  };
  for (const auto& [typed, meant] : cases) EXPECT_EQ(near_name(typed, kNames), meant) << typed;
}

TEST(NearName, FindsNothingWhereNothingIsNear) {
  for (const char* typed : {"", "--", "--x", "--colour",
                            "--a-very-long-name-that-nobody-could-mean-anything-by-"
                            "whatever-they-do-with-it"})
    EXPECT_EQ(near_name(typed, kNames), "") << typed;
}

}  // namespace
}  // namespace vl3::cli
