#include "cli/line_reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <vector>

#include "cli/history_file.h"
#include "environment.h"
#include "support/support.h"

namespace vl3::cli {
namespace {

// Lines from a list; "^C" is a line that was dropped.
class Script : public LineReader {
 public:
  explicit Script(std::vector<std::string> lines) : lines_(std::move(lines)) {}
  LineEnd read(const std::string& prompt, std::string* line) override {
    prompts += prompt;
    if (next_ == lines_.size()) return LineEnd::kEnd;
    *line = lines_[next_++];
    return *line == "^C" ? LineEnd::kDropped : LineEnd::kLine;
  }
  std::string prompts;

 private:
  std::vector<std::string> lines_;
  size_t next_ = 0;
};

struct Read {
  LineEnd end;
  std::string text;
  bool block;
  bool operator==(const Read&) const = default;
};

std::vector<Read> read_all(std::vector<std::string> lines) {
  Script script(std::move(lines));
  std::vector<Read> all;
  for (Entry entry;;) {
    const LineEnd end = read_entry(script, &entry);
    if (end == LineEnd::kEnd) return all;
    all.push_back({end, end == LineEnd::kLine ? entry.text : "", entry.block});
  }
}

TEST(ReadEntry, JoinsLines) {
  const auto line = [](const std::string& text) { return Read{LineEnd::kLine, text, false}; };
  const auto block = [](const std::string& text) { return Read{LineEnd::kLine, text, true}; };
  const std::string fence = "\"\"\"";
  EXPECT_EQ(read_all({"a", "", "b"}), (std::vector<Read>{line("a"), line(""), line("b")}));
  EXPECT_EQ(read_all({"a\\", "b\\", "c", "d"}), (std::vector<Read>{line("a\nb\nc"), line("d")}));
  EXPECT_EQ(read_all({"a\\"}), (std::vector<Read>{line("a\n")}));
  EXPECT_EQ(read_all({fence, "a", "", "/save b", fence, "c"}),
            (std::vector<Read>{block("a\n\n/save b"), line("c")}));
  EXPECT_EQ(read_all({fence + "a", "b" + fence}), (std::vector<Read>{block("a\nb")}));
  EXPECT_EQ(read_all({fence + "a" + fence}), (std::vector<Read>{block("a")}));
  EXPECT_EQ(read_all({fence, "a", "b"}), (std::vector<Read>{block("a\nb")}));  // the end of input
  EXPECT_EQ(read_all({fence, fence}), (std::vector<Read>{block("")}));
  const std::vector<Read> dropped = read_all({fence, "a", "^C", "b\\", "^C", "c"});
  ASSERT_EQ(dropped.size(), 3U);
  EXPECT_EQ(dropped[0].end, LineEnd::kDropped);
  EXPECT_EQ(dropped[1].end, LineEnd::kDropped);
  EXPECT_EQ(dropped[2], line("c"));
}

TEST(HistoryFile, KeepsLinesForTheirOwnerAlone) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder / "new/history";
  HistoryFile(path).add("first");
  HistoryFile second(path);
  EXPECT_EQ(second.read(), std::vector<std::string>{"first"});
  second.add("first");  // said again
  second.add("");
  second.add("two\nlines");
  second.add("second");
  EXPECT_EQ(HistoryFile(path).read(), (std::vector<std::string>{"first", "second"}));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_EQ(::stat(path.parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  ::chmod(path.c_str(), 0644);
  HistoryFile(path).add("third");
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(HistoryFile, IsCutAndMayBeMissing) {
  const test::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 2500; ++i) text += std::to_string(i) + "\n";
  test::write_text(folder / "history", text);
  const auto lines = HistoryFile(folder / "history").read();
  ASSERT_EQ(lines.size(), 1000U);
  EXPECT_EQ(lines.back(), "2499");
  EXPECT_EQ(test::read_text(folder / "history").substr(0, 5), "1500\n");
  HistoryFile nowhere("");
  nowhere.add("x");
  EXPECT_TRUE(nowhere.read().empty());
  HistoryFile impossible("/dev/null/history");
  impossible.add("x");
  EXPECT_TRUE(impossible.read().empty());
}

TEST(HistoryPath, IsUnderTheStateFolder) {
  const test::Variable home("HOME", "/home/somebody");
  const test::Variable state("XDG_STATE_HOME", "/state");
  EXPECT_EQ(history_path(), "/state/videollama3/history");
  ::setenv("XDG_STATE_HOME", "relative", 1);
  EXPECT_EQ(history_path(), "/home/somebody/.local/state/videollama3/history");
  ::unsetenv("XDG_STATE_HOME");
  ::unsetenv("HOME");
  EXPECT_EQ(history_path(), "");
}

}  // namespace
}  // namespace vl3::cli
