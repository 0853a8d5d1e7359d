// Rows of a stream: order of frames and turns, ids and labels, the balance of silence and speech.

#include "train/data/stream.h"

#include <algorithm>
#include <set>

#include "base/json.h"
#include "scenes/encode.h"
#include "support/support.h"
#include "train/data/batches.h"
#include "train/data/samples.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr int kFrames = 12;  // one a second

// A clip of frames that differ, and a model folder without weights whose tokenizer knows streams.
class Stream : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < kFrames; ++i) {
      Image frame{28, 56, std::vector<uint8_t>(28 * 56 * 3)};
      for (size_t p = 0; p < frame.rgb.size(); ++p)
        frame.rgb[p] = static_cast<uint8_t>(p * static_cast<size_t>(7 + i));
      const auto png = scenes::encode_png(frame);
      test::write_text(folder_ / frame_name(i), std::string(png.begin(), png.end()));
    }
    for (const auto& entry : fs::directory_iterator("models/tiny")) {
      if (entry.path().extension() != ".safetensors") fs::copy(entry.path(), model());
    }
    Json tokenizer = parse_json(test::read_text(model() / "tokenizer.json"), "tokenizer");
    Json settings = parse_json(test::read_text(model() / "tokenizer_config.json"), "tokenizer");
    for (const auto& [id, name] : {std::pair{438, "<|stream_start|>"}, {439, "<|stream_end|>"}}) {
      Json token = tokenizer["added_tokens"][0];
      token["id"] = id;
      token["content"] = name;
      token["special"] = true;
      tokenizer["added_tokens"].push_back(token);
      token.erase("id");
      settings["added_tokens_decoder"][std::to_string(id)] = token;
    }
    test::write_text(model() / "tokenizer.json", tokenizer.dump());
    test::write_text(model() / "tokenizer_config.json", settings.dump());
  }

  fs::path model() {
    fs::create_directories(folder_ / "model");
    return folder_ / "model";
  }
  static std::string frame_name(int i) { return "frame" + std::to_string(100 + i) + ".png"; }

  Json row_json(const Json& turns) const {
    Json frames = Json::array();
    for (int i = 0; i < kFrames; ++i) frames.push_back(frame_name(i));
    return {{"stream", true}, {"video", Json::array({frames})}, {"conversation", turns}};
  }
  TrainRow row(const Json& turns) const { return parse_row(row_json(turns), "rows:1", folder_.path()); }

  TrainConfig config(const std::string& stream) {
    TrainConfig c;
    c.model = model();
    c.output = folder_ / "out";
    c.stream = stream;
    c.media.fps = 1;
    c.media.video_merge_size = 1;
    c.media.use_token_compression = false;
    return c;
  }
  ProcessorOutput make(const TrainRow& r, const std::string& stream, const StreamDraw& draw = {}) {
    const TrainConfig c = config(stream);
    ThreadPool threads(1);
    return SampleMaker(Processor::from_pretrained(c.model), c).make(threads, r, draw).out;
  }
  static std::vector<int64_t> labels_of(const ProcessorOutput& out) { return out.labels[0]; }

  test::TemporaryFolder folder_;
};

Json turn(const char* role, const char* text, double time) {
  return {{"role", role}, {"content", text}, {"time", time}};
}

const Json kTurns = {turn("user", "Tell me when it changes.", 0), turn("assistant", "Now.", 3),
                     turn("assistant", "Again.", 8)};

TEST_F(Stream, FramesComeBeforeTheFirstTurnThatIsNotEarlier) {
  std::string order;
  for (const StreamItem& item : interleave({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, row(kTurns)))
    order += item.turn < 0 ? static_cast<char>('0' + item.frame) : static_cast<char>('a' + item.turn);
  EXPECT_EQ(order, "0a123b45678c");  // frame 9 comes after the last turn
}

TEST_F(Stream, WhatLiesBehindTheLargestNumberOfFramesIsDropped) {
  std::vector<double> times(static_cast<size_t>(kMaxStreamFrames) + 1);
  for (size_t i = 0; i < times.size(); ++i) times[i] = static_cast<double>(i);
  const auto items = interleave(
      times, row({turn("assistant", "A", 5), turn("assistant", "B", 399.5), turn("assistant", "C", 400)}));
  EXPECT_EQ(items.back().turn, 1);
  EXPECT_EQ(std::count_if(items.begin(), items.end(), [](const auto& i) { return i.turn < 0; }),
            kMaxStreamFrames);
}

TEST_F(Stream, TextIsTheOriginalReleasesAndUsersCannotForgeTokens) {
  const auto out = make(row({turn("user", "<|im_end|>", 0), turn("assistant", "Yes", 1)}), "original");
  const Tokenizer tokenizer = Processor::from_pretrained(model()).tokenizer();
  const std::vector<int64_t>& ids = out.ids[0];
  std::string frame = "<|stream_start|>stream\n";
  for (int64_t i = 0; i < out.videos.clips[0].tokens_per_frame; ++i) frame += "<|video_pad|>";
  frame += "\n<|stream_end|>\n";
  EXPECT_EQ(tokenizer.decode(ids), frame + "<|im_start|>user\n<|im_end|><|im_end|>\n" + frame +
                                       "<|im_start|>assistant\nYes<|im_end|>\n");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), *tokenizer.token_to_id("<|im_end|>")), 2);
  EXPECT_EQ(out.videos.video_grid_thw.span<int64_t>()[0], 2);
}

TEST_F(Stream, OriginalLabelsAreAnswersAndTheEndsOfFrames) {
  const auto out = make(row(kTurns), "original");
  const Tokenizer tokenizer = Processor::from_pretrained(model()).tokenizer();
  std::vector<int64_t> learned;
  for (const int64_t label : labels_of(out))
    if (label >= 0) learned.push_back(label);
  const std::string end = "\n<|stream_end|>";
  std::string expected;
  for (int i = 0; i < 4; ++i) expected += end;
  expected += "Now.<|im_end|>";
  for (int i = 0; i < 5; ++i) expected += end;
  EXPECT_EQ(tokenizer.decode(learned), expected + "Again.<|im_end|>");
  const auto labels = labels_of(out);
  for (size_t i = 0; i < labels.size(); ++i) EXPECT_TRUE(labels[i] == -100 || labels[i] == out.ids[0][i]);
}

// Positions of decisions: labelled tokens that begin a frame or a turn.
std::vector<size_t> decisions(const ProcessorOutput& out, const std::vector<int64_t>& labels, int64_t token) {
  std::vector<size_t> at;
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] == token && out.ids[0][i] == token) at.push_back(i);
  return at;
}

TEST_F(Stream, SilenceIsDrawnUntilItIsAsFrequentAsSpeech) {
  const int64_t silent = 438,
                spoken = *Processor::from_pretrained(model()).tokenizer().token_to_id("<|im_start|>");
  std::set<std::vector<size_t>> choices;
  for (uint32_t epoch = 0; epoch < 20; ++epoch) {
    const StreamDraw draw{42, epoch, 3};
    const auto out = make(row(kTurns), "decide", draw);
    EXPECT_EQ(decisions(out, labels_of(out), spoken).size(), 2U);  // before the two answers, not the user
    const auto silences = decisions(out, labels_of(out), silent);
    EXPECT_EQ(silences.size(), 2U);  // of the 6 frames that follow a frame
    for (const size_t at : silences) EXPECT_GT(at, 0U);
    choices.insert(silences);
    EXPECT_EQ(labels_of(make(row(kTurns), "decide", draw)), labels_of(out));
  }
  EXPECT_GT(choices.size(), 5U) << "every epoch chose the same";
}

TEST_F(Stream, ASampleWithoutSpeechBehindFramesKeepsEverySilence) {
  const auto out = make(row({turn("assistant", "Hello.", -1), turn("user", "Bye.", 4)}), "decide");
  EXPECT_EQ(decisions(out, labels_of(out), 438).size(), 4U);
}

TEST_F(Stream, BadRowsAreRefusedByName) {
  const auto refused = [&](const Json& json, const char* part) {
    try {
      parse_row(json, "rows:7", folder_.path());
      ADD_FAILURE() << "accepted: " << json.dump();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("rows:7"), std::string::npos);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refused(row_json(Json::array({turn("gpt", "A", 1)})), "gpt");
  refused(row_json({turn("user", "A", 2), turn("assistant", "B", 1)}), "comes after");
  Json timeless = kTurns;
  timeless[0].erase("time");
  refused(row_json(timeless), "time");
  refused(row_json(Json::array()), "conversation");
  Json none = row_json(kTurns);
  none.erase("video");
  refused(none, "video");
  EXPECT_THROW(interleave({5, 6}, row(Json::array({turn("assistant", "A", 1)}))), Error);
}

TEST_F(Stream, AModelWithoutTheTokensIsRefusedWithWhatToDo) {
  test::write_text(folder_ / "rows.jsonl", row_json(kTurns).dump() + "\n");
  TrainConfig c = config("decide");
  TrainSource source;
  source.rows = folder_ / "rows.jsonl";
  c.data = {source};
  EXPECT_EQ(row_batches(c, {})->at(0).samples, 1);
  c.model = "models/tiny";
  try {
    row_batches(c, {});
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    const std::string text = error.what();
    for (const char* part : {"rows.jsonl:1", "<|stream_start|>", "added_tokens", "438", "640"})
      EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace vl3
