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

TEST(Tasks, PartsOfAMessageStayInTheirOrder) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.mp4", "x");
  test::write_text(folder / "b.png", "x");
  test::write_text(
      folder / "tasks.jsonl",
      R"({"id":"1","answer":"A","content":[{"type":"video","video":"a.mp4","start_time":0,"end_time":5},)"
      R"({"type":"text","text":"Hello."},{"type":"video","video":["b.png"],"fps":2},)"
      R"({"type":"image","image":"b.png"},{"type":"text","text":"What?"}]})");
  const std::vector<Sample> samples = read_tasks(folder.path());
  const Json& content = samples.at(0).message["content"];
  ASSERT_EQ(content.size(), 5u);
  EXPECT_EQ(content[0], (Json{{"type", "video"},
                              {"video", (folder / "a.mp4").string()},
                              {"start_time", 0.0},
                              {"end_time", 5.0}}));
  EXPECT_EQ(content[1]["text"], "Hello.");
  EXPECT_EQ(content[2]["video"], Json::array({(folder / "b.png").string()}));
  EXPECT_EQ(content[3]["image"], (folder / "b.png").string());
  EXPECT_EQ(samples[0].question, "Hello.\nWhat?");
  EXPECT_EQ(samples[0].media["content"][0]["video"], "a.mp4");
  EXPECT_EQ(samples[0].media["content"].size(), 3u);
}

TEST(Tasks, BadPartsAreNamed) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.mp4", "x");
  const std::pair<const char*, const char*> cases[] = {
      {R"("content":[])", "list of parts"},
      {R"("content":"x")", "list of parts"},
      {R"("content":["x"])", "content[0]"},
      {R"("content":[{"type":"video","video":"a.mp4"}])", "no text"},
      {R"("content":[{"type":"text","text":"x"}],"question":"q")", "\"content\" and \"question\""},
      {R"("content":[{"type":"text","text":"x"}],"fps":1)", "\"fps\""},
      {R"("content":[{"type":"text","text":"x","fps":1}])", "nothing else"},
      {R"("content":[{"type":"audio","audio":"x"}])", "text, image or video"},
      {R"("content":[{"type":"video"}])", "no \"video\""},
      {R"("content":[{"type":"video","video":"none.mp4"}])", "none.mp4"},
      {R"("content":[{"type":"video","video":"a.mp4","speed":1}])", "\"speed\""},
      {R"("content":[{"type":"image","image":"a.mp4","fps":1}])", "\"fps\""},
      {R"("content":[{"type":"video","video":"a.mp4","fps":"x"}])", "\"fps\""}};
  for (const auto& [fields, words] : cases) {
    test::write_text(folder / "tasks.jsonl", std::string(R"({"id":"1","answer":"a",)") + fields + "}");
    try {
      read_tasks(folder.path());
      ADD_FAILURE() << fields;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("tasks.jsonl:1"), std::string::npos) << error.what();
    }
  }
}

TEST(Tasks, AddressesAreTakenAsTheyAreAndRecordedWithoutTheirQueries) {
  const test::TemporaryFolder folder;
  const std::string address = "https://example.com/a.png?key=s3cret";
  test::write_text(
      folder / "tasks.jsonl",
      Json({{"id", 1}, {"image", address}, {"question", "q"}, {"answer", "a"}}).dump() + "\n" +
          Json({{"id", 2}, {"image", "https://example.com/a.png"}, {"question", "q"}, {"answer", "a"}})
              .dump());
  const std::vector<Sample> samples = read_tasks(folder.path());
  EXPECT_EQ(samples.at(0).message["content"][0]["image"], address);
  const std::string recorded = samples[0].media["image"];
  EXPECT_TRUE(recorded.starts_with("https://example.com/a.png sha256:")) << recorded;
  EXPECT_EQ(recorded.find("s3cret"), std::string::npos);
  EXPECT_EQ(samples[1].media["image"], "https://example.com/a.png");
}

TEST(Tasks, PairsStayTogether) {
  const test::TemporaryFolder folder;
  const auto row = [](int id, const char* pair) {
    return Json({{"id", id},
                 {"question", "q"},
                 {"answer", "yes"},
                 {"score", "yes_no"},
                 {"pair", pair},
                 {"group", "g"}})
               .dump() +
           "\n";
  };
  test::write_text(folder / "mme.jsonl",
                   row(1, "a") + row(2, "b") + row(3, "a") + row(4, "b") + row(5, "c") + row(6, "c"));
  const std::vector<Sample> all = read_tasks(folder / "mme.jsonl");
  EXPECT_EQ(all.at(0).pair, "a");
  EXPECT_EQ(all[0].group, "g");
  std::string ids;
  for (const Sample& sample : choose(all, {}, 1)) ids += sample.id;
  EXPECT_EQ(ids, "13");
  ids.clear();
  for (const Sample& sample : choose(all, {}, 2)) ids += sample.id;
  EXPECT_EQ(ids, "1234");
  test::write_text(folder / "mme.jsonl", row(1, "a"));
  EXPECT_THROW(read_tasks(folder / "mme.jsonl"), Error);
  test::write_text(folder / "mme.jsonl", R"({"id":1,"question":"q","answer":"a","group":"g"})");
  EXPECT_THROW(read_tasks(folder / "mme.jsonl"), Error);
}

}  // namespace
}  // namespace vl3::eval
