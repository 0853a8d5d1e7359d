// Rows in the forms of other programs: each means what our own form means, or names what it has that is not
// read.

#include <map>

#include "train/data/batches.h"
#include "train/data/samples.h"
#include "train/data/stream.h"
#include "train_support.h"
#include "vl3/thread_pool.h"
#include "vl3/training_rows.h"

namespace vl3 {
namespace {

std::string tiny() { return test::data_path("../../models/tiny").string(); }
std::string media() { return test::data_path("../../examples/media").string(); }

TrainRow parsed(const std::string& row) { return parse_row(parse_json(row, "case"), "rows:1", "/media"); }
Json image(const std::string& path) { return {{"type", "image"}, {"image", path}}; }
Json text(const std::string& words) { return {{"type", "text"}, {"text", words}}; }

std::string refusal(const std::string& row) {
  const std::string said = test::message_of([&] { parsed(row); });
  EXPECT_NE(said.find("rows:1"), std::string::npos) << row << ": " << said;
  return said;
}

TEST(RowForms, ListsBesideMessagesTakeTheirPlaces) {
  const Json wanted = {{{"role", "user"}, {"content", {image("/media/a.png"), text("What is it?")}}},
                       {{"role", "assistant"}, {"content", "A cat."}}};
  for (
      const char* row :
      {R"({"messages":[{"role":"user","content":"<image>What is it?"},{"role":"assistant","content":"A cat."}],"images":["a.png"]})",
       R"({"messages":[{"role":"user","content":"<image>\nWhat is it?"},{"role":"assistant","content":"A cat."}],"images":"a.png"})",
       R"({"messages":[{"role":"user","content":[{"type":"image"},{"type":"text","text":"What is it?"}]},{"role":"assistant","content":"A cat."}],"images":["a.png"]})",
       R"({"messages":[{"role":"user","content":[{"type":"text","text":"<image>What is it?"}]},{"role":"assistant","content":"A cat."}],"images":[{"path":"a.png","bytes":null}],"videos":[],"audios":null})",
       R"({"conversations":[{"from":"human","value":"<image>What is it?"},{"from":"gpt","value":"A cat."}],"images":["a.png"],"system":""})",
       R"({"conversations":[{"role":"user","content":"<image>What is it?"},{"role":"assistant","content":"A cat."}],"images":["/media/a.png"]})",
       R"({"instruction":"<image>What is it?","input":"","output":"A cat.","images":["a.png"],"history":[]})",
       R"({"query":"<image>What is it?","response":"A cat.","images":["a.png"]})",
       R"({"conversation":[{"human":"<image>What is it?","assistant":"A cat."}],"images":["a.png"]})"})
    EXPECT_EQ(parsed(row).messages, wanted) << row;
}

TEST(RowForms, PlacesAreTakenInTheOrderOfTheLists) {
  const Json got = parsed(R"({"messages":[
      {"role":"user","content":"<image> and <video> and <image>?"},{"role":"assistant","content":"x"},
      {"role":"user","content":[{"type":"video"},{"type":"text","text":"and <image>"}]},
      {"role":"assistant","content":"y"}],
      "images":["1.png","2.png","3.png"],"videos":["1.mp4",["a.png","b.png"]]})")
                       .messages;
  EXPECT_EQ(got[0]["content"][0]["image"], "/media/1.png");
  EXPECT_EQ(got[0]["content"][2]["video"], "/media/1.mp4");
  EXPECT_EQ(got[0]["content"][4]["image"], "/media/2.png");
  EXPECT_EQ(got[2]["content"][0]["video"], Json({"/media/a.png", "/media/b.png"}));
  EXPECT_EQ(got[2]["content"][2]["image"], "/media/3.png");
}

TEST(RowForms, SystemHistoryAndInputAreTurns) {
  const Json wanted = {{{"role", "system"}, {"content", "Be brief."}},
                       {{"role", "user"}, {"content", "a?"}},
                       {{"role", "assistant"}, {"content", "b"}},
                       {{"role", "user"}, {"content", "c\nd"}},
                       {{"role", "assistant"}, {"content", "e"}}};
  EXPECT_EQ(
      parsed(R"({"instruction":"c","input":"d","output":"e","system":"Be brief.","history":[["a?","b"]]})")
          .messages,
      wanted);
  EXPECT_EQ(parsed(R"({"query":"c\nd","response":"e","system":"Be brief.","history":[["a?","b"]]})").messages,
            wanted);
  EXPECT_EQ(parsed(R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}],
                       "system":"Be brief."})")
                .messages[0],
            wanted[0]);
  EXPECT_NE(refusal(R"({"messages":[{"role":"system","content":"a"},{"role":"user","content":"q"},
                        {"role":"assistant","content":"a"}],"system":"b"})")
                .find("\"system\""),
            std::string::npos);
}

TEST(RowForms, TimesAndRatesAreOfEveryClip) {
  const Json got = parsed(R"({"messages":[{"role":"user","content":[{"type":"video","video":"a.mp4","fps":4},
      {"type":"video","video":{"video_path":"b.mp4","start_time":0}},{"type":"image","image":"c.png"},
      {"type":"text","text":"q"}]},{"role":"assistant","content":"a"}],
      "start_time":1.5,"end_time":3,"fps":2,"max_frames":8,"num_frames":null})")
                       .messages[0]["content"];
  EXPECT_EQ(got[0], (Json{{"type", "video"},
                          {"video", "/media/a.mp4"},
                          {"fps", 4},
                          {"start_time", 1.5},
                          {"end_time", 3.0},
                          {"max_frames", 8}}));
  EXPECT_EQ(got[1]["video"]["video_path"], "/media/b.mp4");
  EXPECT_FALSE(got[1].contains("start_time"));
  EXPECT_EQ(got[1]["end_time"], 3.0);
  EXPECT_EQ(got[2], image("/media/c.png"));
}

TEST(RowForms, LlavaMarksClipsAsPictures) {
  const Json got = parsed(R"({"id":"1","data_source":"x","video":"a.mp4",
      "conversations":[{"from":"human","value":"<image>\nq"},{"from":"gpt","value":"a"}]})")
                       .messages;
  EXPECT_EQ(got[0]["content"][0], (Json{{"type", "video"}, {"video", "/media/a.mp4"}}));
}

TEST(RowForms, ToolsGoToTheTemplate) {
  for (const char* tools :
       {R"([{"name":"look"}])", R"("[{\"name\":\"look\"}]")", R"(["{\"name\":\"look\"}"])"}) {
    const TrainRow row =
        parsed(std::string(R"({"tools":)") + tools +
               R"(,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]})");
    EXPECT_EQ(row.template_arguments, Json({{"tools", {{{"name", "look"}}}}})) << tools;
  }
  EXPECT_TRUE(parsed(R"({"tools":"[]","query":"q","response":"a"})").template_arguments.is_null());
}

TEST(RowForms, MetadataMayStandBesideTheTurns) {
  const char* turns =
      R"("conversations":[{"from":"human","value":"q","id":null},{"from":"gpt","value":"a"}])";
  for (const char* key : {"id", "source", "dataset", "score", "category", "metadata", "model"})
    EXPECT_EQ(parsed(fmt::format("{{\"{}\":1,{}}}", key, turns)).messages.size(), 2U) << key;
  EXPECT_EQ(parsed(fmt::format(R"({{"anything":null,"else":"","objects":{{}},"loss":[],{}}})", turns))
                .messages.size(),
            2U);
  EXPECT_EQ(parsed(fmt::format(R"({{"width":5,"height":7,"image":"a.png",{}}})", turns)).messages.size(), 2U);
  EXPECT_EQ(
      parsed(
          R"({"width":5,"messages":[{"role":"user","content":[{"type":"image","image":"a.png"}],"train":false},
                               {"role":"assistant","content":"a","train":true}]})")
          .messages.size(),
      2U);
  EXPECT_NE(refusal(fmt::format(R"({{"image_id":5,{}}})", turns)).find("\"image_id\""), std::string::npos);
}

TEST(RowForms, WhatIsNotReadIsNamed) {
  const std::string turns =
      R"("messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}])";
  const std::string marked =
      R"("messages":[{"role":"user","content":"<image>q"},{"role":"assistant","content":"a"}])";
  const std::pair<std::string, const char*> cases[] = {
      {R"({"objects":{"bbox":[[1,2,3,4]]},)" + turns + "}", "\"objects\""},
      {R"({"audios":["a.wav"],)" + turns + "}", "\"audios\""},
      {R"({"rejected_response":"b",)" + turns + "}", "\"rejected_response\""},
      {R"({"chosen":"b","rejected":"c",)" + turns + "}", "\"chosen\""},
      {R"({"kto_tag":true,)" + turns + "}", "\"kto_tag\""},
      {R"({"label":1,)" + turns + "}", "\"label\""},
      {R"({"image_path":"a.png",)" + turns + "}", "did you mean \"image\""},
      {R"({"start":1,)" + turns + "}", "start_time"},
      {R"({"start_time":1,)" + turns + "}", "no clip"},
      {R"({"fps":"2","videos":["a.mp4"],)" + turns + "}", "\"fps\""},
      {R"({"url":"x",)" + turns + "}", "\"url\""},
      {R"({"images":["a.png"],)" + turns + "}", "1 under \"images\""},
      {R"({"images":["a.png","b.png"],)" + marked + "}", "2 under \"images\""},
      {"{" + marked + "}", "more \"<image>\" than files: 0"},
      {R"({"image":"a.png","images":["a.png"],)" + marked + "}", "both"},
      {R"({"images":[{"bytes":"x"}],)" + marked + "}", "not a path"},
      {R"({"images":[{"path":"a.png","bytes":"x"}],)" + marked + "}", "\"bytes\""},
      {R"({"images":[""],)" + marked + "}", "not a path"},
      {R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}],)" + turns + "}",
       "twice"},
      {R"({"tools":{"a":1},)" + turns + "}", "\"tools\""},
      {R"({"tools":"[",)" + turns + "}", "tools"},
      {R"({"system":5,)" + turns + "}", "\"system\""},
      {R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"<image>"}],"images":["a"]})",
       "not a user's"},
      {R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"image","image":"a.png"},"b"]}]})",
       "not a user's"},
      {R"({"conversation":[{"human":"q","assistant":"a","score":"b"}]})", "\"score\""},
      {R"({"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"f"}]})",
       "function_call"},
      {R"({"conversations":[{"from":"human","value":"q","time":3},{"from":"gpt","value":"a"}]})", "\"time\""},
      {R"({"conversations":[{"value":"q"},{"from":"gpt","value":"a"}]})", "nobody"},
      {R"({"instruction":"q"})", "\"output\""},
      {R"({"query":"q","response":"a","history":[["x"]]})", "history"},
      {R"({"instruction":"q","output":5})", "\"output\""},
      {R"({"instruction":"q","output":""})", "an empty \"output\""},
      {R"({"images":[7],)" + marked + "}", "\"images\" has 7"},
      {R"({"videos":[[4]],)" + turns + "}", "\"videos\" has a frame 4"},
      {R"({"messages":[{"role":"user","content":"q","train":true},{"role":"assistant","content":"a"}]})",
       "a turn of the user has \"train\": true"},
      {R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","weight":0}]})",
       "a turn of the assistant has \"weight\": 0"},
      {R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a","loss":0.5}]})",
       "\"loss\": 0.5"},
      {R"({"width":5,)" + turns + "}", "\"width\""},
  };
  for (const auto& [row, told] : cases) {
    const std::string said = refusal(row);
    EXPECT_NE(said.find(told), std::string::npos) << row << ": " << said;
  }
}

TEST(RowForms, APairIsAQuestionAndItsAnswerInWhicheverOrder) {
  const Json wanted = {{{"role", "system"}, {"content", "s"}},
                       {{"role", "user"}, {"content", "q"}},
                       {{"role", "assistant"}, {"content", "a"}}};
  EXPECT_EQ(parsed(R"({"conversation":[{"assistant":"a","human":"q","system":"s"}]})").messages, wanted);
}

// A row whose picture stands where another program puts it never trains without it.
TEST(RowForms, MarksOfOtherProgramsAreRefusedInWhatUsersSay) {
  const auto row = [](const std::string& question) {
    return Json{{"query", question}, {"response", "<img>a.png</img> <audio>"}}.dump();
  };
  for (const char* mark : {"<img>", "<|image_1|>", "<image_2>", "<image 3>", "<Image>", "<ImageHere>",
                           "<image_placeholder>", "<image-placeholder>", "<image >", "</image>",
                           "<|vision_start|>", "<|video_pad|>", "<IMG_CONTEXT>", "<video1>", "<audio>"})
    EXPECT_NE(refusal(row(std::string("What < is ") + mark + "?")).find(fmt::format("\"{}\"", mark)),
              std::string::npos)
        << mark;
  for (const char* words :
       {"a < b > c", "<img src=a.png>", "<imagery>", "<12>", "<>", "<|im_end|>", "<image"})
    EXPECT_EQ(parsed(row(words)).messages[0]["content"], words);
}

TEST(RowForms, StreamsNameWhatTheyDoNotReadAndBeginWithTheSystem) {
  const auto row = [](const std::string& more, const std::string& turn_more = "") {
    return R"({"stream":true,"video":["a.mp4"],)" + more +
           R"("conversation":[{"role":"user","content":"q","time":1)" + turn_more +
           R"(},{"role":"assistant","content":"a","time":2}]})";
  };
  const TrainRow got = parsed(row(R"("system":"Watch.","fps":2,"start_time":1,"id":7,)"));
  ASSERT_EQ(got.stream.size(), 3U);
  EXPECT_EQ(got.stream[0].role, "system");
  EXPECT_EQ(got.messages[0]["content"][0]["fps"], 2.0);
  const std::vector<StreamItem> events = interleave({0.0, 1.5}, got);
  EXPECT_EQ(events[0].turn, 0);
  EXPECT_EQ(events[1].frame, 0);
  EXPECT_NE(refusal(row(R"("tools":[{"a":1}],)")).find("\"tools\""), std::string::npos);
  EXPECT_NE(refusal(row("", R"(,"timestamp":3)")).find("\"timestamp\""), std::string::npos);
  const auto asked = [](const std::string& content) {
    return R"({"stream":true,"video":"a.mp4","conversation":[{"role":"user","time":1,"content":)" + content +
           "}]}";
  };
  EXPECT_NE(refusal(asked(R"("<image>q")")).find("\"<image>\""), std::string::npos);
  EXPECT_NE(refusal(asked(R"([{"type":"text","text":"q","fps":1}])")).find("\"fps\""), std::string::npos);
  EXPECT_NE(refusal(asked(R"([{"type":"image","text":"q"}])")).find("frames"), std::string::npos);
  EXPECT_NE(refusal(R"({"stream":true,"video":"http://x/a.mp4","conversation":[]})").find("file"),
            std::string::npos);
}

// What the rows above train, and that a byte order mark changes nothing.
TEST(RowForms, RowsOfOtherProgramsTrainAndBadOnesAreListed) {
  const test::TemporaryFolder folder;
  const std::string picture =
      R"({"messages":[{"role":"user","content":"<image>What is it?"},{"role":"assistant","content":"A square."}],"images":["shapes.png"]})";
  const std::string clip =
      R"({"video":["moving.mp4"],"start_time":1,"end_time":2,"fps":4,"conversations":[{"from":"human","value":"<video>\nq"},{"from":"gpt","value":"a"}]})";
  const std::string whole =
      R"({"video":["moving.mp4"],"fps":4,"conversations":[{"from":"human","value":"<video>\nq"},{"from":"gpt","value":"a"}]})";
  const std::string tools = R"({"query":"q","response":"a","tools":"[{\"name\":\"look\"}]"})";
  const std::string thought =
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning":"b"}]})";
  const std::string cut = R"({"loss":")" + std::string(70, 'x') + R"(éééééééé","query":"q","response":"a"})";
  Json rows = Json::array();
  for (const std::string& row : {picture, clip, whole, tools, thought, cut})
    rows.push_back(parse_json(row, "row"));
  std::string lines = "\xef\xbb\xbf";
  for (const Json& row : rows) lines += row.dump() + "\r\n";
  test::write_text(folder / "rows.jsonl", lines);
  test::write_text(folder / "rows.json", "\xef\xbb\xbf\n" + rows.dump());
  for (const char* name : {"rows.jsonl", "rows.json"}) {
    const Json config = {{"model", tiny()},
                         {"output", (folder / (std::string(name) + ".out")).string()},
                         {"data", {{{"rows", (folder / name).string()}, {"media", media()}}}},
                         {"media", {{"max_visual_tokens", 4096}}},
                         {"batch", 3},
                         {"rates", {{"llm", 1e-3}}}};
    const auto batches = row_batches(test::config_of(config), {});
    EXPECT_EQ(batches->at(0).samples, 3);
    std::map<std::string, std::string> why;
    std::istringstream listed(test::read_text(folder / (std::string(name) + ".out") / "quarantine.jsonl"));
    std::string all;
    int count = 0;
    for (std::string line; std::getline(listed, line); ++count)
      all += parse_json(line, "quarantine")["why"].get<std::string>() + "\n";
    EXPECT_EQ(count, 3) << all;
    for (const char* key : {"\"tools\"", "\"reasoning\"", "\"loss\""})
      EXPECT_NE(all.find(key), std::string::npos) << all;
  }
  test::write_text(folder / "twice.jsonl", R"({"query":"q","response":"a","response":"b"})");
  std::string twice;
  read_rows(
      folder / "twice.jsonl", [](const Json&, const std::string&) { FAIL(); },
      [&](const std::string&, const std::string& why) { twice = why; });
  EXPECT_NE(twice.find("\"response\" twice"), std::string::npos) << twice;
  test::write_text(folder / "rows.parquet", "PAR1\x15\x04");
  const std::string packed = test::message_of([&] { read_rows(folder / "rows.parquet", {}, {}); });
  EXPECT_NE(packed.find("Parquet"), std::string::npos) << packed;
  test::write_text(folder / "wide.jsonl", std::string("\xff\xfe{\0}\0", 6));
  const std::string wide = test::message_of([&] { read_rows(folder / "wide.jsonl", {}, {}); });
  EXPECT_NE(wide.find("UTF-16"), std::string::npos) << wide;
}

TEST(RowForms, ARowsTimesChooseItsFramesAndItsPictureIsSeen) {
  const test::TemporaryFolder folder;
  const Processor processor = Processor::from_pretrained(tiny());
  const Json config = {{"model", tiny()},
                       {"output", (folder / "out").string()},
                       {"data", {{{"rows", "absent"}}}},
                       {"rates", {{"llm", 1e-3}}}};
  const SampleMaker maker(processor, test::config_of(config));
  ThreadPool threads(1);
  const auto sample = [&](const std::string& row) {
    return maker.make(threads, parse_row(parse_json(row, "row"), "rows:1", media()));
  };
  const std::string turns =
      R"("conversations":[{"from":"human","value":"<video>\nq"},{"from":"gpt","value":"a"}]})";
  const Sample some = sample(R"({"video":["moving.mp4"],"start_time":1,"end_time":2,"fps":4,)" + turns);
  ASSERT_EQ(some.out.videos.clips.size(), 1U);
  for (const double time_s : some.out.videos.clips[0].frames.timestamps) {
    EXPECT_GE(time_s, 1.0);
    EXPECT_LT(time_s, 2.0);
  }
  const Sample seen = sample(
      R"({"messages":[{"role":"user","content":"<image>q"},{"role":"assistant","content":"a"}],"images":["shapes.png"]})");
  EXPECT_GT(seen.patches, 0);
  const std::vector<int64_t>& ids = seen.out.ids[0];
  EXPECT_EQ(processor.tokenizer().decode(ids).find("<image>"), std::string::npos);
}

TEST(RowForms, TheConfigurationSaysHowClipsAreRead) {
  const test::TemporaryFolder folder;
  const Processor processor = Processor::from_pretrained(tiny());
  ThreadPool threads(1);
  const auto sample = [&](const Json& media, const std::string& clip, const std::string& more = "") {
    const Json config = {{"model", tiny()},
                         {"output", (folder / "out").string()},
                         {"data", {{{"rows", "absent"}}}},
                         {"rates", {{"llm", 1e-3}}},
                         {"media", media}};
    const std::string row =
        R"({"conversations":[{"from":"human","value":"<video>\nq"},{"from":"gpt","value":"a"}],"video":)";
    const Json json = parse_json(row + Json(clip).dump() + more + "}", "row");
    return SampleMaker(processor, test::config_of(config)).make(threads, parse_row(json, "rows:1", "/"));
  };
  const auto times = [](const Sample& made) { return made.out.videos.clips.at(0).frames.timestamps; };
  // A clip of an uneven rate: its own times, or the index over the average rate. A row's word comes first.
  const std::string uneven = test::data_path("media/long_uneven.mp4").string();
  const std::vector<double> shown = times(sample({{"max_frames", 8}}, uneven));
  const std::vector<double> counted = times(sample({{"max_frames", 8}, {"times", "frames"}}, uneven));
  EXPECT_NE(shown, counted);
  EXPECT_EQ(times(sample({{"max_frames", 8}, {"times", "frames"}}, uneven, R"(,"times":"timestamps")")),
            shown);
  // A clip with damage: an error, or concealed.
  std::string bytes = test::read_text(std::filesystem::path(media()) / "moving.mp4");
  for (size_t i = bytes.size() / 2; i < bytes.size() / 2 + 400; ++i) bytes[i] = 0x55;
  test::write_text(folder / "broken.mp4", bytes);
  const std::string broken = (folder / "broken.mp4").string();
  EXPECT_THROW(sample({{"fps", 25}}, broken), Error);
  EXPECT_FALSE(times(sample({{"fps", 25}, {"skip_broken_frames", true}}, broken)).empty());
}

TEST(RowForms, TheCasesOfTheField) {
  VL3_NEED_SHARED(shared, "cases");
  const auto row = [&](const char* name) {
    std::string line = test::read_text(shared / name);
    return parse_row(parse_json(line, name), name, shared).messages;
  };
  EXPECT_EQ(row("lf_messages_images.jsonl")[0]["content"][0]["image"], (shared / "red.png").string());
  EXPECT_EQ(row("system_key.jsonl")[0]["content"], "Answer in one word please.");
  const Json clip = row("start_time_in_conversations_row.jsonl")[0]["content"][0];
  EXPECT_EQ(clip["start_time"], 1.4);
  EXPECT_EQ(clip["end_time"], 2.0);
}

}  // namespace
}  // namespace vl3
