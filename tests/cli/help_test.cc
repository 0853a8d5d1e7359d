// Helps, hints and the version, as a user meets them.

#include "cli/help.h"

#include <regex>
#include <sstream>

#include "program.h"

namespace vl3 {
namespace {

using test::model;
using test::Outcome;
using test::run;

constexpr const char* kCommands[] = {"run",     "plan",       "inspect", "tokenize", "process",
                                     "forward", "generate",   "merge",   "bench",    "train",
                                     "scenes",  "vocabulary", "eval",    "quantize"};

TEST(Help, EveryCommandHasUsageExamplesAndLinesThatFit) {
  const std::string whole = run("--help").out;
  for (const std::string command : kCommands) {
    EXPECT_NE(whole.find("\n  " + command + " "), std::string::npos) << command;
    const Outcome got = run(command + " --help");
    EXPECT_EQ(got.status, 0) << got.err;
    EXPECT_EQ(got.out.rfind("videollama3 " + command + ": ", 0), 0U) << got.out;
    EXPECT_NE(got.out.find("\nUsage: videollama3 " + command + " [OPTIONS] "), std::string::npos) << got.out;
    EXPECT_NE(got.out.find("\nExamples:\n  videollama3 " + command), std::string::npos) << got.out;
    if (command == "train") continue;  // its table of keys is wider
    std::istringstream lines(got.out);
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(line.size(), 110U) << command << ": " << line;
  }
}

TEST(Help, RunBeginsWithTheTenThatPeopleNeed) {
  const std::string help = run("run --help").out;
  const size_t most = help.find("\nMost used:\n"), next = help.find("\n\n", most + 1);
  ASSERT_NE(most, std::string::npos) << help;
  EXPECT_LT(help.find("\nExamples:"), most);
  const std::string first = help.substr(most, next - most);
  const std::regex option("\n  --[a-z-]+");
  EXPECT_EQ(std::distance(std::sregex_iterator(first.begin(), first.end(), option), std::sregex_iterator()),
            10)
      << first;
  for (const char* name : {"--image", "--video", "--fps", "--max-new-tokens", "--temperature"})
    EXPECT_NE(first.find(name), std::string::npos) << name;
  for (const char* heading :
       {"\nClips:\n", "\nPictures:\n", "\nLimits:\n", "\nGeneration:\n", "\nInput and output:\n"})
    EXPECT_NE(help.find(heading, most), std::string::npos) << heading;
  EXPECT_EQ(help.find("\nOptions:\n"), std::string::npos) << "an option without a heading: " << help;
}

TEST(Help, MistypedWordsAreToldTheNearOnes) {
  const std::pair<std::string, std::string> cases[] = {
      {"rnu", "did you mean run?"},
      {"Inspect", "did you mean inspect?"},
      {"chat", "there is no subcommand \"chat\""},
      {"--versoin", "did you mean --version?"},
      {"run " + model() + " --imgae a.png hi", "no option --imgae; did you mean --image?"},
      {"run --imgae a.png", "did you mean --image?"},
      {"run " + model() + " --max-tokens 3 hi", "did you mean --max-new-tokens?"},
      {"run " + model() + " --max_new_tokens=3 hi", "did you mean --max-new-tokens?"},
      {"run " + model() + " --temp 3 hi", "did you mean --temperature?"},
      {"run " + model() + " --picture 3 hi", "did you mean --image?"},
      {"run " + model() + " '-x is what?'", "goes behind --"},
      {"run " + model() + " what is this", "in quotes"},
      {"bench " + model() + " --encod 3", "did you mean --encode?"},
      {"plan " + model() + " --jsn hi", "did you mean --json?"},
      {"inspect " + model() + " --jsno", "did you mean --json?"},
      {"quantize " + model() + " out --too int4", "did you mean --to?"},
      {"train --dryrun c.json", "did you mean --dry-run?"},
  };
  for (const auto& [words, hint] : cases) {
    const Outcome got = run(words);
    EXPECT_EQ(got.status, 2) << words << ": " << got.err;
    EXPECT_NE(got.err.find(hint), std::string::npos) << words << ": " << got.err;
    EXPECT_NE(got.err.find("--help tells more"), std::string::npos) << got.err;
    EXPECT_EQ(got.out, "");
  }
}

TEST(Help, VersionTellsCommitKernelsAndLibraries) {
  const Outcome got = run("--version");
  EXPECT_EQ(got.status, 0);
  EXPECT_TRUE(std::regex_search(
      got.out, std::regex(R"(^videollama3 \d+\.\d+\.\d+( \(commit [0-9a-f]+(-modified)?\))?\n)")))
      << got.out;
  for (const char* name :
       {"kernels    baseline", "libavformat ", "libpng ", "libjpeg", "libwebp ", "libedit ", "simdjson "})
    EXPECT_NE(got.out.find(name), std::string::npos) << name << ": " << got.out;
}

TEST(Help, WrapsAtWordsAndCountsCharacters) {
  EXPECT_EQ(cli::wrapped("aa bb cc", 2, 8), "aa bb\n  cc");
  EXPECT_EQ(cli::wrapped("äö üß x", 0, 5), "äö üß\nx");
  EXPECT_EQ(cli::wrapped("a\nb", 1, 9), "a\n b");
  EXPECT_EQ(cli::wrapped("muchtoolong x", 0, 4), "muchtoolong\nx");
  EXPECT_EQ(cli::wrapped("", 3, 9), "");
}

TEST(Help, SizesAreWidthTimesHeight) {
  const Outcome got =
      run("bench " + model() + " --no-load --prefill 0 --first-token 0 --decode 0 --encode 70x7");
  EXPECT_EQ(got.status, 1);
  EXPECT_NE(got.err.find("70 x 7 pixels"), std::string::npos) << got.err;
  const test::TemporaryFolder folder;
  const auto bitmap = [&](const std::string& name, char width, char height) {  // black, 1 bit a pixel
    std::string bytes = std::string("BM\x46\0\0\0\0\0\0\0\x3e\0\0\0\x28\0\0\0", 18) + width +
                        std::string(3, 0) + height + std::string("\0\0\0\x01\0\x01\0", 7) +
                        std::string(24, 0) + std::string(8, 0);
    bytes += std::string(static_cast<size_t>((width + 31) / 32 * 4 * height), 0);
    test::write_text(folder / name, bytes);
  };
  bitmap("1.bmp", 40, 30);
  bitmap("2.bmp", 30, 40);
  const Outcome frames = run("run " + model() + " --video " + folder.path().string() + " hi");
  EXPECT_EQ(frames.status, 1);
  EXPECT_NE(frames.err.find("30 x 40"), std::string::npos) << frames.err;
  EXPECT_LT(frames.err.find("30 x 40"), frames.err.find("40 x 30")) << frames.err;
}

}  // namespace
}  // namespace vl3
