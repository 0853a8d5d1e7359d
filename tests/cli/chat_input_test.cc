#include "cli/chat_input.h"

#include <gtest/gtest.h>

#include "cli/path_words.h"
#include "environment.h"
#include "support/support.h"

namespace vl3::cli {
namespace {

using Kind = ChatInput::Kind;

// Files by their names: a picture, a clip, neither.
MediaKind by_name(const std::string& path) {
  if (path.ends_with(".png")) return MediaKind::kPicture;
  return path.ends_with(".mp4") ? MediaKind::kClip : MediaKind::kNone;
}

class ChatInputTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"a.png", "b.mp4", "my photo.png", "it's.png", "100%.png", "notes.txt", "(1).png"})
      test::write_text(folder_ / name, "x");
  }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  static ChatInput parse(const std::string& line) { return parse_chat_input(line, by_name); }
  static std::vector<std::string> paths(const ChatInput& input) {
    std::vector<std::string> list;
    for (const auto& media : input.media) list.push_back(media.path);
    return list;
  }
  using Paths = std::vector<std::string>;
  test::TemporaryFolder folder_;
};

TEST_F(ChatInputTest, CommandsAndTheirArguments) {
  EXPECT_EQ(parse("").kind, Kind::kNothing);
  EXPECT_EQ(parse(" \t").kind, Kind::kNothing);
  const ChatInput save = parse("/save  my talk.json ");
  EXPECT_EQ(save.kind, Kind::kCommand);
  EXPECT_EQ(save.command, "/save");
  EXPECT_EQ(save.text, "my talk.json");
  EXPECT_EQ(parse("/exit").command, "/quit");
  EXPECT_EQ(parse("/imgae x").kind, Kind::kUnknownCommand);
  EXPECT_EQ(parse("/imgae x").meant, "/image");
  EXPECT_EQ(parse("/Help").meant, "/help");
  EXPECT_EQ(parse("/xyzzy").meant, "");
  for (const ChatCommand& command : chat_commands()) EXPECT_EQ(parse(command.name).kind, Kind::kCommand);
}

TEST_F(ChatInputTest, AQuestionThatBeginsWithAPathIsNoCommand) {
  for (const std::string line : {"/etc is what?", "/home/nobody/x.png what is it?", "/24 is which netmask?",
                                 "/usr/bin or /bin?", " /save is which command?", "/ is the root?", "//"}) {
    const ChatInput input = parse(line);
    EXPECT_EQ(input.kind, Kind::kQuestion) << line;
    EXPECT_TRUE(input.media.empty()) << line;
    EXPECT_EQ(input.text, line[0] == ' ' ? line.substr(1) : line);
  }
  EXPECT_EQ(parse("/home/nobody/x.png what is it?").missing, "/home/nobody/x.png");
  EXPECT_EQ(parse("/etc is what?").missing, "");
}

TEST_F(ChatInputTest, DroppedFilesAreTakenHoweverTheyAreWritten) {
  std::string escaped = at("my photo.png");
  escaped.insert(escaped.find(' '), "\\");
  for (const std::string& line :
       {at("my photo.png"), "'" + at("my photo.png") + "'", "\"" + at("my photo.png") + "\" ", escaped,
        escaped + " ", "file://" + folder_.path().string() + "/my%20photo.png",
        "file://localhost" + folder_.path().string() + "/my%20photo.png"}) {
    const ChatInput input = parse(line);
    EXPECT_EQ(input.kind, Kind::kQuestion) << line;
    EXPECT_EQ(paths(input), Paths{at("my photo.png")}) << line;
    EXPECT_EQ(input.text, "") << line;
  }
  EXPECT_EQ(paths(parse(at("it's.png"))), Paths{at("it's.png")});
  EXPECT_EQ(paths(parse("file://" + at("100%.png"))), Paths{at("100%.png")});  // a % that codes nothing
  EXPECT_EQ(parse(at("b.mp4")).media[0].kind, MediaKind::kClip);
  EXPECT_EQ(paths(parse(at("a.png") + " '" + at("b.mp4") + "'")), (Paths{at("a.png"), at("b.mp4")}));
  EXPECT_TRUE(parse(at("notes.txt")).media.empty());
}

TEST_F(ChatInputTest, PathsInAQuestionGoWithIt) {
  ChatInput input = parse(at("a.png") + " what is it?");
  EXPECT_EQ(paths(input), Paths{at("a.png")});
  EXPECT_EQ(input.text, "what is it?");
  input = parse("what is it? '" + at("my photo.png") + "' ");
  EXPECT_EQ(paths(input), Paths{at("my photo.png")});
  EXPECT_EQ(input.text, "what is it?");
  input = parse("what's in " + at("a.png") + "?");
  EXPECT_EQ(paths(input), Paths{at("a.png")});
  EXPECT_EQ(input.text, "what's in " + at("a.png") + "?");
  input = parse(at("my photo.png") + " isn't it nice?");
  EXPECT_EQ(paths(input), Paths{at("my photo.png")});
  EXPECT_EQ(input.text, "isn't it nice?");
  input = parse("compare " + at("a.png") + " with " + at("b.mp4") + " please");
  EXPECT_EQ(paths(input), (Paths{at("a.png"), at("b.mp4")}));
  EXPECT_EQ(input.text, "compare " + at("a.png") + " with " + at("b.mp4") + " please");
  EXPECT_TRUE(parse("a.png or a.gif?").media.empty());  // a bare name among others is text
}

TEST_F(ChatInputTest, ABlockIsTextWhateverIsInIt) {
  const std::string block = "/save this\n" + at("a.png");
  const ChatInput input = parse_chat_input(block, by_name, true);
  EXPECT_EQ(input.kind, Kind::kQuestion);
  EXPECT_EQ(input.text, block);
  EXPECT_TRUE(input.media.empty());
}

TEST_F(ChatInputTest, FilesOfACommandAndTheQuestionBehindThem) {
  FilesAndText got = leading_files(at("a.png") + " '" + at("my photo.png") + "' what's this?", by_name);
  EXPECT_EQ(got.files, (Paths{at("a.png"), at("my photo.png")}));
  EXPECT_EQ(got.text, "what's this?");
  got = leading_files(at("my photo.png"), by_name);
  EXPECT_EQ(got.files, Paths{at("my photo.png")});
  got = leading_files("absent.png also-absent.jpg", by_name);
  EXPECT_EQ(got.files, (Paths{"absent.png", "also-absent.jpg"}));
  EXPECT_TRUE(leading_files("", by_name).files.empty());
}

TEST(PathWords, HomeAndQuotes) {
  const test::Variable home("HOME", "/home/somebody");
  EXPECT_EQ(path_of("~/a b.json"), "/home/somebody/a b.json");
  EXPECT_EQ(path_of("~/a.json"), "/home/somebody/a.json");
  EXPECT_EQ(path_of("'a b.json'"), "a b.json");
  EXPECT_EQ(path_of("a b.json"), "a b.json");
  EXPECT_EQ(path_of("a\\ b.json"), "a b.json");
  EXPECT_EQ(path_of("it's"), "it's");
  EXPECT_FALSE(path_word("'open", 0));
  EXPECT_FALSE(path_word(" x", 0));
  EXPECT_FALSE(path_word("x", 1));
}

}  // namespace
}  // namespace vl3::cli
