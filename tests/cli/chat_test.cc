// A chat through a pipe, as scripts use it: nothing that is said ends it, and nothing that was said is lost.

#include <filesystem>

#include "base/json.h"
#include "program.h"

namespace vl3 {
namespace {

using test::model;
using test::Outcome;
using test::picture;
using test::run;

Outcome chat(const std::string& lines, const std::string& options = "") {
  return run("run " + model() + " --max-new-tokens 3 --compute f32 " + options, lines);
}

Json saved(const std::filesystem::path& path) { return parse_json(test::read_text(path), path.string()); }

std::string content(const Json& message) {
  return message["content"].is_string() ? message["content"].get<std::string>()
                                        : message["content"].back()["text"].get<std::string>();
}

void expect_in(const Outcome& got, const std::string& text) {
  EXPECT_NE(got.err.find(text), std::string::npos) << text << " is not in: " << got.err;
}

TEST(Chat, KeepsTheConversationAndSavesIt) {
  const test::TemporaryFolder folder;
  const std::string file = (folder / "talk.json").string();
  const Outcome got = chat("/help\n/image " + picture() +
                           "\nfirst\nsecond\n/nonsense\n/image absent.png\n/save " + file + "\n/quit\n");
  ASSERT_EQ(got.status, 0) << got.err;
  for (const char* text : {"/clear", "no command /nonsense", "absent.png"}) expect_in(got, text);
  const Json talk = saved(file);
  ASSERT_EQ(talk.size(), 4U);
  EXPECT_EQ(talk[0]["content"][0]["type"], "image");
  EXPECT_EQ(talk[3]["role"], "assistant");
}

TEST(Chat, BrokenUtf8IsSavedAsReplacementAndTheChatGoesOn) {
  const test::TemporaryFolder folder;
  const std::string file = (folder / "chat.json").string();
  const Outcome got = chat("x\xff?\n/save " + file + "\nhello again\n/save " + file + "\n/quit\n");
  ASSERT_EQ(got.status, 0) << got.err;
  const Json talk = saved(file);
  ASSERT_EQ(talk.size(), 4U);
  EXPECT_EQ(content(talk[0]), "x\xef\xbf\xbd?");
  EXPECT_EQ(content(talk[2]), "hello again");
}

TEST(Chat, BrokenUtf8OfTheSharedCase) {
  VL3_NEED_SHARED(lines, "cases/chat_save_bad_utf8.txt");
  const test::TemporaryFolder folder;
  const Outcome got = run("run " + model() + " --max-new-tokens 3", test::read_text(lines),
                          "cd " + folder.path().string() + " &&");
  ASSERT_EQ(got.status, 0) << got.err;
  EXPECT_EQ(saved(folder / "chat.json").size(), 2U);
}

TEST(Chat, NoErrorEndsIt) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "broken.png", "\x89PNG\r\n\x1a\nbroken");
  test::write_text(folder / "broken.json", "{");
  const std::string broken = (folder / "broken.png").string(), file = (folder / "talk.json").string();
  const Outcome got =
      chat("one\n/save\n/save /nowhere/talk.json\n/save " + broken + "\n/load\n/load /nowhere.json\n/load " +
           (folder / "broken.json").string() + "\n/image\n/video\n/video " + picture() +
           "\n/set temprature 1\n/set temperature hot\n/set fps -1\n" + "/fps never\n/image " + broken +
           "\nwhat is this?\n/undo\n/set\n/stats\ntwo\n/save " + file + "\n");
  ASSERT_EQ(got.status, 0) << got.err;
  for (const char* text :
       {"/save needs", "/nowhere/talk.json", "no saved conversation", "/load needs", "/nowhere.json",
        "broken.json", "/image needs", "give it as /image", "did you mean temperature", "hot",
        "fps should be a number", "not never", "broken.png", "took back the picture", "tokens of prompt"})
    expect_in(got, text);
  const Json talk = saved(file);
  ASSERT_EQ(talk.size(), 4U);
  EXPECT_EQ(content(talk[0]), "one");
  EXPECT_EQ(content(talk[2]), "two");
}

TEST(Chat, QuestionsThatBeginWithAPathAreAskedAndDroppedFilesGoWithThem) {
  const test::TemporaryFolder folder;
  std::filesystem::copy_file(picture(), folder / "my photo.png");
  const std::string file = (folder / "talk.json").string(), photo = (folder / "my photo.png").string();
  const Outcome got =
      chat("/etc is what?\n/home/nobody/x.png what is it?\n'" + photo + "'\nwhat is it?\n" + photo +
           " and this?\n/image \"" + photo + "\" and that?\n/save " + file + "\n/imgae x\n");
  ASSERT_EQ(got.status, 0) << got.err;
  expect_in(got, "did you mean /image?");
  expect_in(got, "there is no file \"/home/nobody/x.png\"");
  const Json talk = saved(file);
  ASSERT_EQ(talk.size(), 10U);
  const std::string texts[] = {"/etc is what?", "/home/nobody/x.png what is it?", "what is it?", "and this?",
                               "and that?"};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(content(talk[2 * i]), texts[i]);
    const Json& parts = talk[2 * i]["content"];
    ASSERT_EQ(parts.size(), i < 2 ? 1U : 2U);
    if (i >= 2) {
      EXPECT_EQ(parts[0]["image"], photo);
    }
  }
}

TEST(Chat, SeveralLinesAreOneQuestion) {
  const test::TemporaryFolder folder;
  const std::string file = (folder / "talk.json").string();
  const Outcome got = chat("a\\\nb\n\"\"\"\n/clear\n\nc\n\"\"\"\n/save " + file + "\n");
  ASSERT_EQ(got.status, 0) << got.err;
  const Json talk = saved(file);
  ASSERT_EQ(talk.size(), 4U);
  EXPECT_EQ(content(talk[0]), "a\nb");
  EXPECT_EQ(content(talk[2]), "/clear\n\nc");
}

TEST(Chat, UndoRetryAndLoad) {
  const test::TemporaryFolder folder;
  const std::string one = (folder / "one.json").string(), two = (folder / "two.json").string(),
                    three = (folder / "three.json").string();
  const Outcome got = chat("/retry\n/undo\nfirst\nsecond\n/retry\n/save " + one + "\n/undo\n/undo\n/save " +
                           two + "\n/load " + one + "\n/undo\nthird\n/save " + three + "\n");
  ASSERT_EQ(got.status, 0) << got.err;
  for (const char* text : {"no question to ask again", "nothing to take back", "the answer will be the same",
                           "took back the new answer", "took back the question \"second\"", "4 messages"})
    expect_in(got, text);
  EXPECT_EQ(saved(one).size(), 4U);
  EXPECT_EQ(saved(two).size(), 2U);
  ASSERT_EQ(saved(three).size(), 4U);
  EXPECT_EQ(content(saved(three)[2]), "third");
}

TEST(Chat, ALoadedConversationAnswersLikeTheOneThatWasSaved) {
  const test::TemporaryFolder folder;
  const std::string file = (folder / "talk.json").string(), a = (folder / "a.json").string(),
                    b = (folder / "b.json").string();
  ASSERT_EQ(chat("/image " + picture() + "\nfirst\n/save " + file + "\nsecond\n/save " + a + "\n").status, 0);
  ASSERT_EQ(chat("/load " + file + "\nsecond\n/save " + b + "\n").status, 0);
  EXPECT_EQ(saved(a), saved(b));
}

TEST(Chat, SettingsChangeAnswers) {
  const test::TemporaryFolder folder;
  const std::string file = (folder / "talk.json").string(), clip = test::clip();
  const Outcome got = chat(
      "/set max-new-tokens 1\none\n/set max_new_tokens default\n/retry\n/set max_new_tokens\n"
      "/video " +
      clip + "\n/fps 1\nlook\n/stats\n/fps 4\n/retry\n/stats\n/fps\n/save " + file + "\n");
  ASSERT_EQ(got.status, 0) << got.err;
  expect_in(got, "max_new_tokens = 3");
  // (stats are those of the last answer)
  expect_in(got, "fps = 4");
  // More frames, more tokens.
  std::vector<int> tokens;
  for (size_t at = got.err.find(" tokens of prompt, "); at != std::string::npos;
       at = got.err.find(" tokens of prompt, ", at + 1)) {
    const size_t begin = got.err.find_last_of('\n', at) + 1;
    tokens.push_back(std::stoi(got.err.substr(begin, at - begin)));
  }
  ASSERT_EQ(tokens.size(), 2U) << got.err;
  EXPECT_LT(tokens[0], tokens[1]);
}

}  // namespace
}  // namespace vl3
