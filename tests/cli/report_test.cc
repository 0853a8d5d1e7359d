// quantize --report and compare: what they say of text, pictures and clips, and of what cannot be read.

#include <sys/wait.h>

#include <cstdlib>

#include "base/json.h"
#include "support/support.h"

namespace vl3 {
namespace {

struct Outcome {
  int status = -1;
  std::string out, err;
};

// Runs the program with these words of a shell; in: standard input.
Outcome run(const std::string& words, const std::string& in = "") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "in", in);
  const std::string command = std::string(VL3_PROGRAM) + " " + words + " <" + (folder / "in").string() +
                              " >" + (folder / "out").string() + " 2>" + (folder / "err").string();
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), test::read_text(folder / "out"),
          test::read_text(folder / "err")};
}

std::string model() { return test::data_path("../../models/tiny").string(); }

Json reported(const std::string& words, const std::string& in = "") {
  const Outcome got = run(words + " --json", in);
  EXPECT_EQ(got.status, 0) << got.err;
  return got.status == 0 ? parse_json(got.out, "stdout") : Json();
}

// A question with a picture or a clip, and its answer where there is one.
Json conversation(const std::string& kind, const std::string& answer = "") {
  const std::string file = kind == "image" ? "shapes.png" : "moving.mp4";
  Json content = Json::array();
  content.push_back({{"type", kind}, {kind, test::data_path("../../examples/media/" + file).string()}});
  content.push_back({{"type", "text"}, {"text", "What is it?"}});
  Json messages = Json::array();
  messages.push_back({{"role", "user"}, {"content", content}});
  if (!answer.empty()) messages.push_back({{"role", "assistant"}, {"content", answer}});
  return messages;
}

Json request(const std::vector<Json>& conversations) { return {{"conversations", conversations}}; }

TEST(Report, QuantizeSaysHowMuchPredictionsAndWeightsChange) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "prompts.txt", "a red circle\n\nthe blue square is left of it\n");
  const std::string report = " --report " + (folder / "prompts.txt").string();
  const auto made = [&](const std::string& to) {
    return reported("quantize " + model() + " " + (folder / to).string() + " --to " + to + report);
  };
  const Json int8 = made("int8")["report"], int4 = made("int4")["report"];
  for (const Json& got : {int8, int4}) {
    EXPECT_GT(got["predictions"], 5);
    EXPECT_EQ(got["targets"], got["predictions"].get<int64_t>() - 2);  // the last tokens of two lines
    EXPECT_GE(got["kl"]["largest"], got["kl"]["mean"]);
    EXPECT_GT(got["kl"]["mean"], 0.0);
    EXPECT_GT(got["model"]["perplexity"], 1.0);
    EXPECT_NE(got["model"]["perplexity"], got["other"]["perplexity"]);
    EXPECT_EQ(got["model"]["weights"], "bf16");
    EXPECT_EQ(got["model"]["compute"], "f32");
    EXPECT_EQ(got["other"]["compute"], "auto");
    EXPECT_GE(got["tensors"][0]["error"], got["tensors"][1]["error"]);
    EXPECT_GT(got["tensors"][0]["error"], 0.0);
    EXPECT_GE(got["products"][0]["error"], got["products"][1]["error"]);
    EXPECT_GT(got["products"][1]["error"], 0.0);
    EXPECT_EQ(got["stages"][0]["name"], "text.layer0");
  }
  EXPECT_LT(int8["kl"]["mean"], int4["kl"]["mean"]);
  EXPECT_LT(int8["tensors"][0]["error"], int4["tensors"][0]["error"]);
  EXPECT_EQ(int4["other"]["weights"], "int4");
  EXPECT_EQ(int8["model"]["perplexity"], int4["model"]["perplexity"]);

  const Outcome text = run("quantize " + model() + " " + (folder / "again").string() + report + " --worst 3");
  EXPECT_EQ(text.status, 0) << text.err;
  for (const std::string part : {" predictions: KL divergence ", "perplexity", "weights that changed most",
                                 "outputs changed most", "text.norm"})
    EXPECT_NE(text.out.find(part), std::string::npos) << part << "\n" << text.out;
  for (const size_t place : {0, 2})
    EXPECT_NE(text.out.find(int8["tensors"][place]["name"].get<std::string>()), std::string::npos)
        << text.out;
  EXPECT_EQ(text.out.find(int8["tensors"][3]["name"].get<std::string>()), std::string::npos) << text.out;

  const Json quiet = reported("quantize " + model() + " " + (folder / "quiet").string());
  EXPECT_GT(quiet["quantized"], 0);
  EXPECT_FALSE(quiet.contains("report"));
}

TEST(Report, OneModelComputedInTwoWays) {
  const std::string text =
      "\xEF\xBB\xBF"
      "a red circle\r\nthe blue square is left of it";
  const Json same = reported("compare " + model() + " --on - --other-compute f32", text);
  EXPECT_EQ(same["kl"]["mean"], 0.0);
  EXPECT_EQ(same["same_top_token"], 1.0);
  EXPECT_TRUE(same["tensors"].empty());
  EXPECT_EQ(same["other"]["path"], model());
  EXPECT_EQ(same["model"]["cache"], "f32");
  // Neither the mark at the beginning nor the ends of lines are text.
  EXPECT_EQ(same["predictions"], reported("compare " + model() + " --on -",
                                          "a red circle\nthe blue square is left of it\n")["predictions"]);
  const Json cache = reported("compare " + model() + " --on - --other-compute f32 --other-cache int8", text);
  EXPECT_GT(cache["kl"]["mean"], 0.0);
  EXPECT_EQ(cache["other"]["cache"], "int8");
  EXPECT_EQ(cache["model"]["cache"], "f32");
}

TEST(Report, PicturesAndClips) {
  const test::TemporaryFolder folder;
  const std::string out = (folder / "int4").string();
  ASSERT_EQ(run("quantize " + model() + " " + out + " --to int4").status, 0);
  const std::string command = "compare " + model() + " " + out + " --on - ";
  const Json picture = request({conversation("image")}),
             clip = request({conversation("video", "a red ball")});
  const Json one = reported(command, picture.dump(2)), two = reported(command, clip.dump());
  for (const Json& got : {one, two}) {
    EXPECT_GT(got["kl"]["mean"], 0.0);
    EXPECT_EQ(got["stages"][0]["name"], "projector.out");
    EXPECT_GT(got["stages"][0]["error"], 0.0);
  }
  // Text is predicted, placeholders are not: a picture of any size adds nothing.
  EXPECT_LT(one["predictions"], 40);
  const int64_t both = one["predictions"].get<int64_t>() + two["predictions"].get<int64_t>();
  EXPECT_EQ(reported(command, picture.dump() + "\n\n" + clip.dump() + "\n")["predictions"], both);
  EXPECT_EQ(reported(command, Json::array({picture, clip}).dump())["predictions"], both);
  // After an answer no question for another one is added, unless the request says so.
  Json asked = clip;
  asked["add_generation_prompt"] = true;
  EXPECT_GT(reported(command, asked.dump())["predictions"], two["predictions"]);
  const Json answered = request({conversation("video", "a red ball that moves to the right")});
  EXPECT_GT(reported(command, answered.dump())["predictions"], two["predictions"]);
}

TEST(Report, WhatCannotBeReadIsToldBeforeTheWorkBegins) {
  const test::TemporaryFolder folder;
  const std::string out = (folder / "x").string();
  Json missing = request({conversation("image")});
  missing["conversations"][0][0]["content"][0]["image"] = "nothing_here.png";
  const std::string good = request({conversation("image")}).dump();
  const std::pair<std::string, std::string> cases[] = {
      {"", "has no line of text"},
      {"\n\r\n", "has no line of text"},
      {missing.dump(), "nothing_here.png"},
      {good + "\n{\"conversations\": [", "line 2"},
      {good + "\nplain text\n", "line 2"},
      {"{\"conversation\": []}", "\"conversation\" should be a list"},
      {Json::array({Json{{"imges", 1}}}).dump(), "request 1"},
  };
  for (const auto& [in, word] : cases) {
    const Outcome got = run("quantize " + model() + " " + out + " --report -", in);
    EXPECT_EQ(got.status, 1) << in;
    EXPECT_NE(got.err.find(word), std::string::npos) << word << " in " << got.err;
    EXPECT_EQ(got.out, "");
    EXPECT_FALSE(std::filesystem::exists(out)) << in;
  }
  EXPECT_EQ(run("quantize " + model() + " " + out + " --report nothing_here.txt").status, 1);
  EXPECT_EQ(run("compare " + model()).status, 2);
  EXPECT_EQ(run("compare " + model() + " nothing_here --on -", "text").status, 1);
  // A text may begin with a brace.
  EXPECT_GT(reported("compare " + model() + " --on -", "{ no JSON\nmore")["predictions"], 2);
  const std::string demo = test::data_path("../../models/demo").string();
  const Outcome other = run("compare " + model() + " " + demo + " --on -", "text");
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.err.find("vocabularies of"), std::string::npos) << other.err;
}

}  // namespace
}  // namespace vl3
