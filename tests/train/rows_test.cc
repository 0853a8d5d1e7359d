// Rows of text files: both formats, what is mended, what is quarantined, what is learned, and how often.

#include <sys/stat.h>

#include <set>

#include "train/data/batches.h"
#include "train/data/samples.h"
#include "train_support.h"
#include "vl3/thread_pool.h"
#include "vl3/training_rows.h"

namespace vl3 {
namespace {

std::string tiny() { return test::data_path("../../models/tiny").string(); }
std::string media() { return test::data_path("../../examples/media").string(); }

Json turn(const std::string& from, const std::string& value) { return {{"from", from}, {"value", value}}; }
Json parsed(const Json& row) { return parse_row(row, "rows:1", "/media").messages; }

TEST(Rows, ConversationsBecomeMessages) {
  const Json row = {{"image", {"a.png", "/b.png"}},
                    {"video", "c.mp4"},
                    {"conversations",
                     {turn("system", "Be brief."), turn("human", "<image>\nand <image> then <video>\nwhat?"),
                      turn("gpt", "Yes."), turn("human", "Why?"), turn("gpt", "So.")}}};
  const Json wanted = {{{"role", "system"}, {"content", "Be brief."}},
                       {{"role", "user"},
                        {"content",
                         {{{"type", "image"}, {"image", "/media/a.png"}},
                          {{"type", "text"}, {"text", "and "}},
                          {{"type", "image"}, {"image", "/b.png"}},
                          {{"type", "text"}, {"text", " then "}},
                          {{"type", "video"}, {"video", "/media/c.mp4"}},
                          {{"type", "text"}, {"text", "what?"}}}}},
                       {{"role", "assistant"}, {"content", "Yes."}},
                       {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "Why?"}}}}},
                       {{"role", "assistant"}, {"content", "So."}}};
  EXPECT_EQ(parsed(row), wanted);
}

TEST(Rows, MissingMarksComeFirstAndLeadingAnswersGo) {
  const Json row = {
      {"image", "a.png"},
      {"video", Json::array({Json::array({"1.png", "2.png"})})},
      {"conversations", {turn("gpt", "Welcome."), turn("human", "What?"), turn("gpt", "A cat.")}}};
  const Json got = parsed(row);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0]["content"],
            (Json{{{"type", "image"}, {"image", "/media/a.png"}},
                  {{"type", "video"}, {"video", Json::array({"/media/1.png", "/media/2.png"})}},
                  {{"type", "text"}, {"text", "What?"}}}));
  EXPECT_EQ(got[1], (Json{{"role", "assistant"}, {"content", "A cat."}}));
}

TEST(Rows, MessagesStayAsTheyAreButForPaths) {
  Json row = {{"messages",
               {{{"role", "user"},
                 {"content",
                  {{{"type", "image"}, {"image", "a.png"}},
                   {{"type", "video"}, {"video", Json::array({"1.png", "/2.png"})}},
                   {{"type", "text"}, {"text", "?"}}}}},
                {{"role", "assistant"}, {"content", "!"}}}}};
  Json wanted = row["messages"];
  wanted[0]["content"][0]["image"] = "/media/a.png";
  wanted[0]["content"][1]["video"][0] = "/media/1.png";
  EXPECT_EQ(parsed(row), wanted);
}

TEST(Rows, BadOnesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "neither \"conversations\" nor \"messages\""},
      {R"([])", "rows:1"},
      {R"({"conversations": []})", "list of turns"},
      {R"({"conversations": [{"from": "human"}]})", "\"from\" and \"value\""},
      {R"({"conversations": [{"from": "dog", "value": "woof"}]})", "dog"},
      {R"({"conversations": [{"from": "human", "value": "hi"}]})", "no answer"},
      {R"({"conversations": [{"from": "gpt", "value": "hi"}]})", "no answer"},
      {R"({"conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "x"}]})",
       "more \"<image>\" than files"},
      {R"({"image": 3, "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})",
       "\"image\" has 3"},
      {R"({"video": [[4]], "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})",
       "frame 4"},
      {R"({"messages": {}})", "\"messages\""},
      {R"({"messages": ["hi"]})", "\"role\" and \"content\""},
  };
  for (const auto& [row, told] : cases) {
    const std::string message = test::message_of([row = row] { parsed(parse_json(row, "case")); });
    EXPECT_TRUE(message.find("rows:1") != std::string::npos) << row << ": " << message;
    EXPECT_NE(message.find(told), std::string::npos) << row << ": " << message;
  }
}

Json settings(const test::TemporaryFolder& folder, const std::vector<std::string>& files) {
  Json data = Json::array();
  for (const std::string& file : files)
    data.push_back({{"rows", (folder / file).string()}, {"media", media()}});
  return {
      {"model", tiny()}, {"output", (folder / "out").string()}, {"data", data}, {"rates", {{"llm", 1e-3}}}};
}

TEST(Rows, LabelsAreAnswersAndWhatEndsThem) {
  const TrainRow row =
      parse_row({{"image", "shapes.png"},
                 {"conversations",
                  {turn("system", "red"), turn("human", "<image>\nwhat is this?"),
                   turn("gpt", "a blue square"), turn("human", "and <|im_end|>?"), turn("gpt", "a circle")}}},
                "rows:1", media());
  const test::TemporaryFolder folder;
  const TrainConfig config = test::config_of(settings(folder, {"absent"}));
  const Processor processor = Processor::from_pretrained(tiny());
  const SampleMaker maker(processor, config);
  ThreadPool threads(1);
  const Sample sample = maker.make(threads, row);
  std::vector<int64_t> learned;
  const std::vector<int64_t>& labels = sample.out.labels[0];
  for (size_t i = 0; i < sample.out.ids[0].size(); ++i) {
    if (labels[i] == -100) continue;
    EXPECT_EQ(labels[i], sample.out.ids[0][i]);
    learned.push_back(labels[i]);
  }
  EXPECT_EQ(processor.tokenizer().decode(learned), "a blue square<|im_end|>a circle<|im_end|>");
  EXPECT_EQ(sample.targets, static_cast<int64_t>(learned.size()));
  EXPECT_EQ(sample.patches, sample.out.images.pixel_values.dim(0));
}

std::string line(const std::string& question, const std::string& answer) {
  return Json{{"conversations", {turn("human", question), turn("gpt", answer)}}}.dump() + "\n";
}

TEST(Rows, FilesComeAsOftenAsTheirWeightsSayAndBadRowsAreLeftOut) {
  const test::TemporaryFolder folder;
  std::string first;
  for (int i = 0; i < 4; ++i) first += line("what?", "red" + std::string(static_cast<size_t>(i), '!'));
  test::write_text(folder / "first.jsonl",
                   first + "{broken\n\n" + R"({"image": "absent.png", "conversations": []})" + "\n");
  const Json gone = {{"image", "absent.png"}, {"conversations", {turn("human", "?"), turn("gpt", "x")}}};
  const Json seen = {{"image", "shapes.png"}, {"conversations", {turn("human", "?"), turn("gpt", "x")}}};
  const Json longer = {{"conversations", {turn("human", "?"), turn("gpt", std::string(3000, 'q'))}}};
  test::write_text(folder / "second.json", Json({gone, seen, longer}).dump());
  Json json = settings(folder, {"first.jsonl", "second.json"});
  json["data"][0]["weight"] = 2.5;
  json["batch"] = 3;
  json["max_length"] = 1000;
  json["media"] = {{"max_visual_tokens", 64}};
  std::string notes;
  TrainHooks hooks;
  hooks.note = [&](std::string_view note) { notes += note; };
  const auto batches = row_batches(test::config_of(json), hooks);
  EXPECT_EQ(batches->steps_per_epoch(), 4);  // 2.5 times 4 rows and two that only their content betrays
  int64_t samples = 0;
  std::map<int64_t, int> targets;  // of text rows, by their length
  for (int64_t step = 0; step < 4; ++step) {
    const StepBatch batch = batches->at(step);
    EXPECT_EQ(batch.samples, batches->at(step).samples);  // a function of the step
    samples += batch.samples;
  }
  EXPECT_EQ(samples, 11);  // the too long one is out
  EXPECT_NE(notes.find("rows are left out"), std::string::npos) << notes;
  std::map<std::string, std::string> why;
  std::istringstream lines(test::read_text(folder / "out" / "quarantine.jsonl"));
  for (std::string text; std::getline(lines, text);) {
    const Json row = parse_json(text, "quarantine");
    why[std::filesystem::path(row["row"].get<std::string>()).filename().string()] = row["why"];
  }
  ASSERT_EQ(why.size(), 4U);
  EXPECT_NE(why["first.jsonl:5"].find("first.jsonl:5"), std::string::npos) << why["first.jsonl:5"];
  EXPECT_NE(why["first.jsonl:7"].find("list of turns"), std::string::npos);
  EXPECT_NE(why["second.json[0]"].find("absent.png"), std::string::npos);
  EXPECT_NE(why["second.json[2]"].find("max_length 1000"), std::string::npos);
}

TEST(Rows, NoneLeftIsAnError) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "rows.jsonl", "{}\n");
  const Json json = settings(folder, {"rows.jsonl"});
  EXPECT_NE(test::message_of([&] { row_batches(test::config_of(json), {}); }).find("no row"),
            std::string::npos);
  const std::string absent =
      test::message_of([&] { row_batches(test::config_of(settings(folder, {"absent.jsonl"})), {}); });
  EXPECT_NE(absent.find("absent.jsonl"), std::string::npos) << absent;
}

TEST(Rows, AStepOfNoGoodRowHasThoseOfTheNext) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "rows.jsonl", line("what?", "red") + line("what?", std::string(3000, 'q')));
  Json json = settings(folder, {"rows.jsonl"});
  json["max_length"] = 1000;
  const auto batches = row_batches(test::config_of(json), {});
  ASSERT_EQ(batches->steps_per_epoch(), 2);
  for (int64_t step = 0; step < 6; ++step) {
    EXPECT_EQ(batches->at(step).samples, 1) << step;
    EXPECT_EQ(row_batches(test::config_of(json), {})->at(step).tokens, batches->at(0).tokens) << step;
  }
  test::write_text(folder / "long.jsonl", line("what?", std::string(3000, 'q')));
  json["data"][0]["rows"] = (folder / "long.jsonl").string();
  const auto none = row_batches(test::config_of(json), {});
  EXPECT_NE(test::message_of([&] { none->at(7); }).find("no row of an epoch from step 8"), std::string::npos);
}

TEST(Rows, TextIsLeftOutWhereNothingThatTrainsSeesIt) {
  const test::TemporaryFolder folder;
  const Json seen = {{"image", "shapes.png"}, {"conversations", {turn("human", "?"), turn("gpt", "x")}}};
  test::write_text(folder / "rows.jsonl", line("what?", "red") + seen.dump() + "\n");
  Json json = settings(folder, {"rows.jsonl"});
  json["rates"] = {{"projector", 1e-3}};
  EXPECT_EQ(row_batches(test::config_of(json), {})->steps_per_epoch(), 1);
  EXPECT_NE(test::read_text(folder / "out" / "quarantine.jsonl").find("no picture or clip"),
            std::string::npos);
}

TEST(Rows, SourcesHaveRowsAndAreFiles) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "rows.jsonl", line("what?", "red"));
  for (const char* nothing : {"", " \n\n", "\xef\xbb\xbf", "[]"}) {
    test::write_text(folder / "empty.jsonl", nothing);
    const std::string told = test::message_of([&] {
      row_batches(test::config_of(settings(folder, {"rows.jsonl", "empty.jsonl"})), {});
    });
    EXPECT_NE(told.find("empty.jsonl] has no rows"), std::string::npos) << nothing << ": " << told;
  }
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  const std::string told = test::message_of([&] {
    row_batches(test::config_of(settings(folder, {"rows.jsonl", "pipe"})), {});
  });
  EXPECT_NE(told.find("pipe] is no regular file"), std::string::npos) << told;
}

// Every epoch has all rows once, in an order of its own that the seed decides.
TEST(Rows, EpochsAreShuffled) {
  const test::TemporaryFolder folder;
  std::string rows;
  for (size_t i = 1; i <= 12; ++i) rows += line("what?", std::string(i * 3, '7'));
  test::write_text(folder / "rows.jsonl", rows);
  const auto order = [&](uint64_t seed, int64_t epoch) {
    Json json = settings(folder, {"rows.jsonl"});
    json["seed"] = seed;
    const auto batches = row_batches(test::config_of(json), {});
    std::vector<int64_t> lengths;
    for (int64_t i = 0; i < 12; ++i) lengths.push_back(batches->at(epoch * 12 + i).targets);
    return lengths;
  };
  const auto once = order(1, 0), again = order(1, 1);
  EXPECT_EQ(std::set<int64_t>(once.begin(), once.end()).size(), 12U);
  EXPECT_EQ(std::set<int64_t>(again.begin(), again.end()).size(), 12U);
  EXPECT_EQ(once, order(1, 0));
  EXPECT_NE(once, again);
  EXPECT_NE(once, order(2, 0));
}

}  // namespace
}  // namespace vl3
