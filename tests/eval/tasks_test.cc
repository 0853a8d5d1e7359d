// Rows of tasks.jsonl, good and bad.

#include "eval/tasks.h"

#include "support/support.h"
#include "vl3/error.h"

namespace vl3::eval {
namespace {

TEST(Tasks, RowsBecomeMessagesWithPathsBesideTheFile) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.png", "x");
  test::write_text(folder / "b.mp4", "x");
  test::write_text(folder / "tasks.jsonl",
                   R"({"id":"1","task":"t","image":"a.png","question":"q?","answer":"red"})"
                   "\n\n"
                   R"({"id":2,"video":["b.mp4",["a.png","a.png"]],"start_time":1.5,"question":"q",)"
                   R"("answer":[3,"three"],"score":"exact"})"
                   "\n"
                   R"({"id":"3","question":"q","score":"mentions","mentions":["a"],"more":1})");
  const std::vector<Sample> samples = read_tasks(folder.path());
  ASSERT_EQ(samples.size(), 3U);
  EXPECT_EQ(samples[0].set, folder.path().filename());
  EXPECT_EQ(samples[0].message["content"][0]["image"], (folder / "a.png").string());
  EXPECT_EQ(samples[0].message["content"][1]["text"], "q?");
  EXPECT_EQ(samples[1].id, "2");
  EXPECT_EQ(samples[1].task, samples[1].set);
  EXPECT_EQ(samples[1].expected.answers, (std::vector<std::string>{"3", "three"}));
  EXPECT_EQ(samples[1].message["content"][0]["start_time"], 1.5);
  EXPECT_EQ(samples[1].message["content"][1]["video"].size(), 2U);
  EXPECT_EQ(samples[2].origin, (folder / "tasks.jsonl").string() + ":4");
  EXPECT_EQ(samples[2].message["content"].size(), 1U);
}

TEST(Tasks, NamesAndOptionsOfOtherRowsAreRead) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.png", "x");
  test::write_text(folder / "b.mp4", "x");
  test::write_text(folder / "tasks.jsonl",
                   "\xef\xbb\xbf"
                   R"({"id":"1","images":["a.png"],"question":"q","answer":"a","source":"x","duration":5})"
                   "\r\n"
                   R"({"id":"2","videos":"b.mp4","fps":2,"max_frames":9,"question":"q","answer":"a"})");
  const std::vector<Sample> samples = read_tasks(folder.path());
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].message["content"][0]["image"], (folder / "a.png").string());
  const Json& clip = samples[1].message["content"][0];
  EXPECT_EQ(clip["video"], (folder / "b.mp4").string());
  EXPECT_EQ(clip["fps"], 2.0);
  EXPECT_EQ(clip["max_frames"], 9);
  EXPECT_EQ(samples[1].media["max_frames"], 9);
}

TEST(Tasks, BadRowsAreNamedByFileLineAndField) {
  const test::TemporaryFolder folder;
  const std::string good = R"({"id":"1","question":"q","answer":"a"})";
  const std::pair<const char*, const char*> cases[] = {
      {R"({"id":"2","question":"q","answer":)", "JSON"},
      {R"([1])", "object"},
      {R"({"question":"q","answer":"a"})", "\"id\""},
      {R"({"id":"1","question":"q","answer":"a"})", "as in"},
      {R"({"id":"2","answer":"a"})", "\"question\""},
      {R"({"id":"2","question":7,"answer":"a"})", "7"},
      {R"({"id":"2","question":"q"})", "\"answer\""},
      {R"({"id":"2","question":"q","answer":{"a":1}})", "{\"a\":1}"},
      {R"({"id":"2","question":"q","answer":"a","score":"fuzzy"})", "fuzzy"},
      {R"({"id":"2","question":"q","answer":"many","score":"number"})", "many"},
      {R"({"id":"2","question":"q","answer":"1","score":"number","tolerance":"x"})", "tolerance"},
      {R"({"id":"2","question":"q","answer":"a","image":"absent.png"})", "absent.png"},
      {R"({"id":"2","question":"q","answer":"a","image":5})", "5"},
      {R"({"id":"2","question":"q","answer":"a","system":"Be brief."})", "\"system\""},
      {R"({"id":"2","question":"q","answer":"a","start_tme":5})", "start_time"},
      {R"({"id":"2","question":"q","answer":"a","start_time":5})", "no clip"},
      {R"({"id":"2","question":"q","answer":"a","image_1":"a.png"})", "\"image\""},
      {R"({"id":"2","question":"q","answer":"a","video_path":"a.mp4"})", "\"video\""},
      {R"({"id":"2","question":"q","answer":"a","image":"a.png","images":"a.png"})", "both"},
  };
  for (const auto& [row, named] : cases) {
    test::write_text(folder / "rows.jsonl", good + "\n" + row + "\n");
    try {
      read_tasks(folder / "rows.jsonl");
      ADD_FAILURE() << row;
    } catch (const Error& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find("rows.jsonl:2"), std::string::npos) << what;
      EXPECT_NE(what.find(named), std::string::npos) << what;
    }
  }
  test::write_text(folder / "rows.jsonl", "\n");
  EXPECT_THROW(read_tasks(folder / "rows.jsonl"), Error);
  EXPECT_THROW(read_tasks(folder / "absent"), Error);
}

TEST(Tasks, SetsHaveNamesOfTheirOwnAndSamplesAreChosenPerTask) {
  const test::TemporaryFolder folder;
  std::string rows;
  for (int i = 0; i < 6; ++i)
    rows += R"({"id":)" + std::to_string(i) + R"(,"task":")" + (i % 2 == 0 ? "even" : "odd") +
            R"(","question":"q","answer":"a"})" + "\n";
  test::write_text(folder / "a.jsonl", rows);
  test::write_text(folder / "b.jsonl", rows);
  const std::vector<std::filesystem::path> files = {folder / "a.jsonl", folder / "b.jsonl"};
  EXPECT_EQ(read_tasks(files).size(), 12U);
  EXPECT_THROW(read_tasks({files[0], files[0]}), Error);
  EXPECT_EQ(choose(read_tasks(files), {"odd"}, 0).size(), 6U);
  EXPECT_EQ(choose(read_tasks(files), {}, 1).size(), 4U);
  EXPECT_THROW(choose(read_tasks(files), {"prime"}, 0), Error);
}

}  // namespace
}  // namespace vl3::eval
