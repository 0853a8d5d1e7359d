#include "cli/conversation.h"

#include <gtest/gtest.h>

#include "support/support.h"
#include "vl3/error.h"

namespace vl3::cli {
namespace {

void ask(Conversation& talk, const std::string& question, const std::string& answer) {
  talk.answered(talk.with_question(question), answer);
}

TEST(Conversation, EveryStepCanBeTakenBack) {
  Conversation talk("be brief");
  EXPECT_EQ(talk.undo(), "");
  const Json empty = talk.messages();
  talk.attach("image", "a.png");
  ask(talk, "what?", "a cat");
  EXPECT_EQ(talk.messages().size(), 3U);
  EXPECT_EQ(talk.messages()[1]["content"][0]["image"], "a.png");
  EXPECT_TRUE(talk.pending().empty());
  ask(talk, "and now?", "a dog");
  const Json both = talk.messages();
  talk.answered(talk.with_last_question(), "a wolf");
  EXPECT_EQ(talk.messages().size(), 5U);
  EXPECT_EQ(talk.messages()[4]["content"], "a wolf");
  EXPECT_EQ(talk.undo(), "the new answer");
  EXPECT_EQ(talk.messages(), both);
  talk.clear();
  EXPECT_EQ(talk.messages(), empty);
  EXPECT_TRUE(talk.with_last_question().is_null());
  EXPECT_EQ(talk.undo(), "/clear");
  EXPECT_EQ(talk.messages(), both);
  EXPECT_EQ(talk.undo(), "the question \"and now?\"");
  EXPECT_EQ(talk.undo(), "the question \"what?\"");
  EXPECT_EQ(talk.pending().size(), 1U);  // the picture waits again
  EXPECT_EQ(talk.undo(), "the picture a.png");
  EXPECT_TRUE(talk.pending().empty());
  EXPECT_EQ(talk.messages(), empty);
}

TEST(Conversation, SavesBrokenUtf8AsReplacementAndLoadsItsOwn) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.png", "x");
  Conversation talk("");
  talk.attach("image", (folder / "a.png").string());
  ask(talk, "x\xff?", "\xc3");
  talk.save(folder / "talk.json");
  EXPECT_NE(test::read_text(folder / "talk.json").find("x\xef\xbf\xbd?"), std::string::npos);
  Conversation other("system");
  ask(other, "mine", "yours");
  const Json before = other.messages();
  EXPECT_EQ(other.load(folder / "talk.json"), "");
  EXPECT_EQ(other.messages().size(), 2U);
  EXPECT_EQ(text_of(other.messages()[0]), "x\xef\xbf\xbd?");
  EXPECT_EQ(other.undo(), "the question \"x\xef\xbf\xbd?\"");  // like one that was asked here
  EXPECT_EQ(other.pending().size(), 1U);
  EXPECT_EQ(other.undo(), "/load");
  EXPECT_EQ(other.messages(), before);
  talk.save(folder / "talk.json");  // over its own
}

TEST(Conversation, SavesOverNothingElse) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "photo.png", "\x89PNG");
  EXPECT_THROW(Conversation("").save(folder / "photo.png"), Error);
  EXPECT_EQ(test::read_text(folder / "photo.png"), "\x89PNG");
  EXPECT_THROW(Conversation("").save(folder / "absent/talk.json"), Error);
}

TEST(Conversation, WhatIsNoConversationChangesNothing) {
  const test::TemporaryFolder folder;
  const std::pair<const char*, const char*> cases[] = {
      {"{", "JSON"},
      {"3", "list of messages"},
      {"{\"conversations\": [[], []]}", "one conversation"},
      {"[3]", "message 1"},
      {R"([{"role": "user"}])", "content"},
      {R"([{"role": "cat", "content": "x"}])", "cat"},
      {R"([{"role": "user", "content": 3}])", "content"},
      {R"([{"role": "user", "content": [{"text": "x"}]}])", "type"},
      {R"([{"role": "user", "content": [{"type": "sound"}]}])", "sound"},
      {R"([{"role": "user", "content": [{"type": "image"}]}])", "no \"image\""},
      {R"([{"role": "user", "content": [{"type": "image", "image": "/absent.png"}]}])", "/absent.png"},
  };
  Conversation talk("");
  ask(talk, "q", "a");
  const Json before = talk.messages();
  for (const auto& [text, named] : cases) {
    test::write_text(folder / "x.json", text);
    try {
      talk.load(folder / "x.json");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
    }
    EXPECT_EQ(talk.messages(), before);
  }
  EXPECT_THROW(talk.load(folder / "absent.json"), Error);
}

TEST(Conversation, ALastQuestionWithoutAnswerComesBack) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "r.json",
                   R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                       {"role": "user", "content": [{"type": "text", "text": "c?"}]}]})");
  Conversation talk("");
  EXPECT_EQ(talk.load(folder / "r.json"), "c?");
  EXPECT_EQ(talk.messages().size(), 2U);
}

}  // namespace
}  // namespace vl3::cli
