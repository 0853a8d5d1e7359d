// Pictures and clips through a pipe, several behind one option, and the wrong option, as a user meets them.

#include <filesystem>

#include "base/json.h"
#include "program.h"

namespace vl3 {
namespace {

using test::clip;
using test::model;
using test::Outcome;
using test::picture;
using test::run;

Json ids(const Outcome& got) {
  EXPECT_EQ(got.status, 0) << got.err;
  return parse_json(got.out, "stdout")["ids"];
}

const std::string kFew = " --json --compute f32 --max-new-tokens 2 ";

TEST(Program, SeveralPicturesFollowOneOption) {
  const std::string p = picture();
  const Json two = ids(run("run " + model() + kFew + "--image " + p + " --image " + p + " hi"));
  EXPECT_EQ(ids(run("run " + model() + kFew + "--image " + p + " " + p + " hi")), two);
  EXPECT_EQ(ids(run("run --image " + p + " " + p + " " + model() + kFew + "hi")), two);
  EXPECT_EQ(ids(run("run " + model() + "/model.safetensors" + kFew + "--image " + p + " " + p + " hi")), two);
  const Outcome absent = run("run " + model() + " --image " + p + " absent.png hi");
  EXPECT_EQ(absent.status, 1);
  EXPECT_NE(absent.err.find("absent.png"), std::string::npos) << absent.err;
  const Outcome words = run("run " + model() + " --image " + p + " what is this");
  EXPECT_EQ(words.status, 2);
  EXPECT_NE(words.err.find("in quotes"), std::string::npos) << words.err;
}

TEST(Program, ReadsAPictureOrClipFromStandardInput) {
  const std::string piped = "cat " + picture() + " |";
  const Json plain = ids(run("run " + model() + kFew + "--image " + picture() + " hi"));
  for (const char* name : {"-", "/dev/stdin"})
    EXPECT_EQ(ids(run("run " + model() + kFew + "--image " + name + " hi", "", piped)), plain) << name;
  EXPECT_EQ(ids(run("run " + model() + kFew + "--image - hi", test::read_text(picture()))), plain);
  const Json moving = ids(run("run " + model() + kFew + "--video " + clip() + " hi"));
  const Outcome seen = run("run " + model() + kFew + "--explain --video - hi", "", "cat " + clip() + " |");
  EXPECT_EQ(ids(seen), moving);
  EXPECT_NE(seen.err.find("standard input: "), std::string::npos) << seen.err;
  EXPECT_EQ(parse_json(seen.out, "stdout")["videos"][0]["name"], "standard input");
  const Outcome plan = run("plan " + model() + " --image - hi", "", piped);
  EXPECT_NE(plan.out.find("picture standard input: "), std::string::npos) << plan.out << plan.err;
}

TEST(Program, StandardInputLeavesNothingBehindAndSaysWhatIsWrong) {
  const test::TemporaryFolder folder;
  const std::string there = "TMPDIR=" + folder.path().string() + " ";
  EXPECT_EQ(
      run("run " + model() + " --max-new-tokens 1 --image - hi", test::read_text(picture()), there).status,
      0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {"--image - hi", "", "empty"},
      {"--image - hi", "no picture at all", "[standard input]"},
      {"--image - - hi", "x", "once only"},
      {"--image - --video - hi", "x", "once only"},
      {"--image -", "x", "add a question"},
      {"--image - --request -", "x", "at once"},
      {"--image - --limit-file 10 hi", test::read_text(picture()), "--limit-file"},
      {"--video - hi", test::read_text(picture()), "[standard input] is a picture"},
  };
  for (const auto& [words, in, named] : cases) {
    const Outcome got = run("run " + model() + " " + words, in, there);
    EXPECT_EQ(got.status, 1) << words;
    EXPECT_NE(got.err.find(named), std::string::npos) << words << ": " << got.err;
    EXPECT_EQ(got.err.find("/proc/"), std::string::npos) << got.err;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Program, TheWrongOptionIsToldTheRightOne) {
  for (const char* command : {"run ", "plan "}) {
    Outcome got = run(command + model() + " --image " + clip() + " hi");
    EXPECT_EQ(got.status, 1);
    EXPECT_NE(got.err.find("give it as --video"), std::string::npos) << got.err;
    got = run(command + model() + " --video " + picture() + " hi");
    EXPECT_EQ(got.status, 1);
    EXPECT_NE(got.err.find("give it as --image"), std::string::npos) << got.err;
  }
}

}  // namespace
}  // namespace vl3
