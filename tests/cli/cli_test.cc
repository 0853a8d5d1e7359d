// The program as a user meets it: commands, exit statuses, what goes to stdout and what to stderr.

#include <algorithm>
#include <cstdio>
#include <regex>
#include <sstream>

#include "base/json.h"
#include "program.h"
#include "support/support.h"
#include "vl3/safetensors.h"

namespace vl3 {
namespace {

using test::clip;
using test::model;
using test::Outcome;
using test::picture;
using test::run;

TEST(Program, AnswersOnStdoutAlone) {
  const Outcome got = run("run " + model() + " --image " + picture() + " --max-new-tokens 5 'What is this?'");
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_FALSE(got.out.empty());
  EXPECT_EQ(got.err, "");
}

// Rows of its table: | what is shown, with its path | question | answer |.
TEST(Program, TheSmallModelAnswersAsTheReadmeSays) {
  const std::string project = test::data_path("../..").string();
  std::istringstream lines(test::read_text(project + "/README.md"));
  const std::regex row(R"(\| !?\[[^\]]*\]\((examples/media/[^)]*)\) \| ([^|]*) \| ([^|]*) \|)");
  int rows = 0;
  for (std::string line; std::getline(lines, line);) {
    std::smatch cells;
    if (!std::regex_match(line, cells, row)) continue;
    ++rows;
    const std::string path = cells[1];
    const Outcome got = run("run " + project + "/models/demo --max-new-tokens 64 " +
                            (path.ends_with(".mp4") ? "--video " : "--image ") + project + "/" + path + " '" +
                            cells[2].str() + "'");
    EXPECT_EQ(got.status, 0) << got.err;
    EXPECT_EQ(got.out, cells[3].str() + "\n") << line;
  }
  EXPECT_EQ(rows, 11);
}

TEST(Program, AnAdapterAnswersAsTheModelItIsMergedInto) {
  const test::TemporaryFolder folder;
  const std::string adapter = test::data_path("lora/plain").string(), merged = (folder / "merged").string();
  const auto ids = [](const std::string& words) {
    const Outcome got =
        run("run " + words + " --json --compute f32 --max-new-tokens 4 --image " + picture() + " hi");
    EXPECT_EQ(got.status, 0) << got.err;
    return parse_json(got.out, "stdout")["new_ids"];
  };
  EXPECT_EQ(run("merge " + model() + " " + adapter + " " + merged).status, 0);
  const Json beside = ids(model() + " --adapter " + adapter);
  EXPECT_EQ(ids(merged), beside);
  EXPECT_NE(ids(model()), beside);
  const Outcome again = run("merge " + model() + " " + adapter + " " + merged);
  EXPECT_EQ(again.status, 1);
  EXPECT_NE(again.err.find("is there already"), std::string::npos) << again.err;
  EXPECT_EQ(run("run " + model() + " --adapter " + merged + " hi").status, 1);
}

TEST(Program, JsonHasIdsAndText) {
  const Outcome got =
      run("run " + model() + " --video " + clip() + " --json --max-new-tokens 5 --compute f32 hi");
  ASSERT_EQ(got.status, 0) << got.err;
  const Json answer = parse_json(got.out, "stdout");
  EXPECT_LE(answer["new_ids"].size(), 5U);
  EXPECT_GT(answer["ids"].size(), 50U);
  EXPECT_TRUE(answer["text"].is_string());
  EXPECT_EQ(answer["videos"][0]["kept"].size(), 4U);
}

TEST(Program, ARequestGivesALinePerConversationWhateverElseIsInTheBatch) {
  const test::TemporaryFolder folder;
  const Json text = {{{"role", "user"}, {"content", "hello"}}};
  const Json seen = {
      {{"role", "user"},
       {"content", {{{"type", "image"}, {"image", picture()}}, {{"type", "text"}, {"text", "?"}}}}}};
  const auto answers = [&](const Json& conversations) {
    const Json request = {{"conversations", conversations}, {"generate", {{"max_new_tokens", 6}}}};
    test::write_text(folder / "r.json", request.dump());
    const Outcome got =
        run("run " + model() + " --request " + (folder / "r.json").string() + " --json --compute f32");
    EXPECT_EQ(got.status, 0) << got.err;
    return got.out;
  };
  EXPECT_EQ(answers(Json::array({text, seen})), answers(Json::array({text})) + answers(Json::array({seen})));
}

TEST(Program, StagesReadAndWriteFiles) {
  const test::TemporaryFolder folder;
  const std::string forward = (folder / "forward.safetensors").string(),
                    inputs = (folder / "inputs.safetensors").string();
  const std::string golden = test::data_path("model/forward.safetensors").string();
  Outcome got = run("forward " + model() + " --in " + golden + " --out " + forward);
  ASSERT_EQ(got.status, 0) << got.err;
  EXPECT_TRUE(SafetensorsFile::open(forward).contains("out.vision.layer1.1"));
  got = run("generate " + model() + " --in " + golden + " --prefix in --settings '{\"max_new_tokens\": 3}'");
  ASSERT_EQ(got.status, 0) << got.err;  // labels play no part
  test::write_text(folder / "r.json",
                   Json{{"conversations", {{{{"role", "user"}, {"content", "a b c"}}}}}}.dump());
  got = run("process " + model() + " --request " + (folder / "r.json").string() + " --out " + inputs);
  ASSERT_EQ(got.status, 0) << got.err;
  EXPECT_EQ(SafetensorsFile::open(inputs).names().size(), 2U);
  got = run("generate " + model() + " --in " + inputs + " --prefix '' --settings '{\"max_new_tokens\": 3}'");
  ASSERT_EQ(got.status, 0) << got.err;
  EXPECT_EQ(parse_json(got.out, "stdout")["new_ids"][0].size(), 3U);
}

// A clip is sampled alike whatever the command and the form of its request, unless they say how.
TEST(Program, ProcessAndRunLookAtTheSameFrames) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(model(), folder / "model", std::filesystem::copy_options::recursive);
  for (const char* name : {"processor_config.json", "video_preprocessor_config.json"}) {
    if (!std::filesystem::exists(folder / "model" / name)) continue;
    Json config = parse_json(test::read_text(folder / "model" / name), name);
    Json& clips = config.contains("video_processor") ? config["video_processor"] : config;
    clips["do_sample_frames"] = false;  // as the published checkpoint has it
    clips.erase("fps");
    std::filesystem::remove(folder / "model" / name);
    test::write_text(folder / "model" / name, config.dump());
  }
  const std::string other = (folder / "model").string(), out = (folder / "o.safetensors").string(),
                    file = (folder / "r.json").string();
  const auto frames = [&](const std::string& words) {
    const Outcome got = run(words);
    EXPECT_EQ(got.status, 0) << got.err;
    return parse_json(got.out, "stdout")["videos"][0]["frames_indices"];
  };
  const Json wanted = frames("run " + other + " --video " + clip() + " --json --max-new-tokens 1 hi");
  Json request = {{"role", "user"},
                  {"content", {{{"type", "video"}, {"video", {{"video_path", clip()}}}}, "hi"}}};
  test::write_text(file, "\xef\xbb\xbf" + Json::array({request}).dump());
  EXPECT_EQ(frames("process " + other + " --request " + file + " --out " + out), wanted);
  EXPECT_EQ(frames("run " + other + " --request " + file + " --json --max-new-tokens 1"), wanted);
  test::write_text(file, Json{{"messages", {request}}, {"do_sample_frames", false}}.dump());
  const Json all = frames("process " + other + " --request " + file + " --out " + out);
  EXPECT_GT(all.size(), wanted.size());
  EXPECT_EQ(frames("run " + other + " --request " + file + " --json --max-new-tokens 1"), all);
}

TEST(Program, TokenizesLineByLine) {
  const Outcome got = run(
      "tokenize " + model(),
      "{\"text\": \"red<|im_end|>\"}\n{\"text\": \"red<|im_end|>\", \"specials\": false}\n{\"ids\": [433]}\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"red\"}], \"add_generation_prompt\": true}\n");
  ASSERT_EQ(got.status, 0) << got.err;
  std::istringstream lines(got.out);
  std::vector<Json> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(parse_json(line, "stdout"));
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_LT(rows[0]["ids"].size(), rows[1]["ids"].size());
  EXPECT_EQ(rows[2], (Json{{"text", "<|im_end|>"}, {"text_skip_special", ""}}));
  EXPECT_EQ(rows[3]["prompt"], "<|im_start|>user\nred<|im_end|>\n<|im_start|>assistant\n");
}

TEST(Program, PlansAndRefusesWhatDoesNotFit) {
  Outcome got = run("plan " + model() + " --video " + clip() + " --json hi");
  ASSERT_EQ(got.status, 0) << got.err;
  const Json plan = parse_json(got.out, "stdout");
  EXPECT_EQ(plan["media"][0]["frames"], 4);
  EXPECT_TRUE(plan["fits"].get<bool>());
  got = run("run " + model() + " --image " + picture() + " --max-memory 0.0001 hi");
  EXPECT_EQ(got.status, 1);
  EXPECT_NE(got.err.find("GiB are needed"), std::string::npos) << got.err;
  got = run("run " + model() + " --max-new-tokens 40000 hi");
  EXPECT_EQ(got.status, 1);
  EXPECT_NE(got.err.find("context holds"), std::string::npos) << got.err;
}

TEST(Program, BenchReportsEveryStageBesideTheMachine) {
  const Outcome got = run("bench " + model() +
                          " --json --encode 56x56,4x56x56 --repeated --prefill 40 --first-token 3 --decode 16"
                          " --batch 1,3 --steps 2 --repeats 1 --threads 2");
  ASSERT_EQ(got.status, 0) << got.err;
  const Json report = parse_json(got.out, "stdout");
  EXPECT_EQ(report["machine"]["threads"], 2);
  EXPECT_GT(report["machine"]["peak_gflops"]["f32"].get<double>(), 0);
  EXPECT_GT(report["machine"]["read_gbs"].get<double>(), 0);
  std::vector<std::string> names;
  for (const Json& row : report["results"]) {
    names.push_back(row["name"]);
    EXPECT_GT(row["seconds"].get<double>(), 0) << row;
    EXPECT_GT(row["peak_rss_bytes"].get<int64_t>(), 0) << row;
    EXPECT_EQ(row.contains("gflops"), row["name"] == "encode" || row["name"] == "prefill") << row;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"load", "encode", "encode", "encode_repeated", "prefill",
                                             "first_token", "decode", "decode"}));
  EXPECT_EQ(report["results"][1]["patches"], 16);
  EXPECT_EQ(report["results"][2]["tokens"], 16);  // four frames of 4 x 4 patches, merged
  EXPECT_EQ(run("bench " + model() + " --encode 7x7 --no-load").status, 1);
  EXPECT_EQ(run("bench " + model() + " --encode picture --no-load").status, 1);
}

TEST(Program, EvalCountsRightAnswersAndRefusesOtherSettings) {
  const test::TemporaryFolder folder;
  ASSERT_EQ(run("scenes " + (folder / "set").string() + " --count 6 --tasks --split test").status, 0);
  const std::string command = "eval " + model() + " " + (folder / "set").string() +
                              " --max-new-tokens 4 --out " + (folder / "out").string();
  const Outcome table = run(command);
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_EQ(table.out.rfind("task", 0), 0U) << table.out;
  EXPECT_NE(table.out.find("\nall "), std::string::npos) << table.out;
  const Outcome again = run(command + " --json");
  ASSERT_EQ(again.status, 0) << again.err;
  const Json summary = parse_json(again.out, "stdout");
  EXPECT_EQ(summary["complete"], true);
  const std::string lines = test::read_text(folder / "out/answers.jsonl");
  EXPECT_EQ(summary["overall"]["count"], std::count(lines.begin(), lines.end(), '\n'));
  const Outcome other = run(command + " --fps 2");
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.err.find("media/fps was null, is 2"), std::string::npos) << other.err;
  EXPECT_EQ(run(command + " --tasks nonsense").status, 1);
}

TEST(Program, SaysWhatIsWrongAndExitsAccordingly) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "broken.png", "\x89PNG\r\n\x1a\nbroken");
  test::write_text(folder / "r.json", "{\"conversations\": [], \"imges\": 1}");
  test::write_text(folder / "wide.json", std::string("{\0}\0", 4));
  const std::string broken = (folder / "broken.png").string(), request = (folder / "r.json").string(),
                    wide = (folder / "wide.json").string();
  const std::tuple<std::string, int, std::string> cases[] = {
      {"", 2, ""},
      {"fly " + model(), 2, "subcommand"},
      {"run", 2, "model"},
      {"run " + model() + " --compute f17 hi", 2, "f17"},
      {"run " + model() + " --threads -1 hi", 2, "threads"},
      {"run " + model() + " --temperature hot hi", 1, "temperature"},
      {"run " + model() + " --cpu pentium hi", 1, "pentium"},
      {"run " + model() + " --device abacus hi", 1, "\"abacus\" is not one of cpu"},
      {"run /nowhere hi", 1, "/nowhere"},
      {"run " + model() + " --image /nowhere.png hi", 1, "/nowhere.png"},
      {"run " + model() + " --image " + broken + " hi", 1, "broken.png"},
      {"run " + model() + " --video " + broken + " hi", 1, "broken.png"},
      {"run " + model() + " --video " + clip() + " --fps 1 --num-frames 3 hi", 1, "exclude"},
      {"run " + model() + " --video " + clip() + " --start-time 90 hi", 1, "no frame"},
      {"run " + model() + " --video " + clip() + " --rotate left hi", 2, "rotate"},
      {"run " + model() + " --video " + clip() + " --pictures-rate 0 hi", 2, "pictures-rate"},
      {"plan " + model() + " --video " + clip() + " --pictures-rate 5 hi", 0, "note: [" + clip()},
      {"run " + model() + " --limit-pixels 10 --image " + picture() + " hi", 1, "max_pixels"},
      {"run " + model() + " --request " + request + " --json", 1, "conversations"},
      {"run " + model() + " --request " + wide, 1, "UTF-16"},
      {"process " + model() + " --request " + broken + " --out /dev/null", 1, "JSON"},
      {"forward " + model() + " --in " + broken + " --out /dev/null", 1, "broken.png"},
      {"tokenize /nowhere", 1, "/nowhere"},
      {"inspect /nowhere", 1, "/nowhere"},
      {"generate " + model() + " --in " + picture() + " --settings '{'", 1, "--settings"},
  };
  for (const auto& [words, status, named] : cases) {
    const Outcome got = run(words);
    EXPECT_EQ(got.status, status) << words << ": " << got.err;
    EXPECT_NE((got.err + got.out).find(named), std::string::npos) << words << ": " << got.err;
  }
  EXPECT_EQ(run("--help").status, 0);
  EXPECT_EQ(run("run --help").status, 0);
}

TEST(Program, AFullDiskIsAnErrorAndLeavesNothingBehind) {
  const Outcome got = run("run " + model() + " --max-new-tokens 2 hi >/dev/full; echo status $?");
  EXPECT_NE((got.out + got.err).find("status 1"), std::string::npos) << got.out << got.err;
}

}  // namespace
}  // namespace vl3
