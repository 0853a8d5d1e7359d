// What eval prints and writes beside accuracies.

#include <nlohmann/json.hpp>

#include "program.h"
#include "vl3/json.h"

namespace vl3 {
namespace {

class EvalCommand : public testing::Test {
 protected:
  test::Outcome run(const std::string& set, const std::vector<Json>& rows, const std::string& more = "") {
    std::string text;
    for (size_t i = 0; i < rows.size(); ++i) {
      Json row = {{"id", i}, {"question", "Is it?"}};
      row.update(rows[i]);
      text += row.dump() + "\n";
    }
    test::write_text(folder / (set + ".jsonl"), text);
    return test::run("eval " + test::model() + " " + (folder / (set + ".jsonl")).string() + " --out " +
                     out().string() + " --max-new-tokens 2" + more);
  }
  std::filesystem::path out() const { return folder / "out"; }
  const test::TemporaryFolder folder;
  int runs_ = 0;
};

TEST_F(EvalCommand, SetsThatCountInOtherWaysSaySo) {
  const Json yes = {{"score", "yes_no"}, {"answer", "yes"}, {"pair", "p"}, {"group", "Perception"}};
  const Json span = {{"score", "temporal_iou"}, {"answer", {1, 2.5}}};
  const Json judged = {{"score", "not_scored"}};
  const test::Outcome got = run("set", {yes, yes, span, judged, judged});
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_NE(got.out.find("set: mean IoU 0.00, R@0.3 0.00, R@0.5 0.00, R@0.7 0.00\n"), std::string::npos)
      << got.out;
  EXPECT_NE(got.out.find("set: 0.00 points of 1 pairs, Perception 0.00\n"), std::string::npos) << got.out;
  EXPECT_NE(got.out.find("set: 2 not scored"), std::string::npos) << got.out;
  EXPECT_NE(got.out.find("      3      0.00"), std::string::npos) << got.out;
  // Gone on with, it says the same.
  EXPECT_EQ(run("set", {yes, yes, span, judged, judged}).out, got.out);
  // Another way to score is another evaluation.
  const test::Outcome other = run("set", {judged, judged, span, judged, judged});
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.err.find("\"answer\""), std::string::npos) << other.err;
}

TEST_F(EvalCommand, ASubmissionIsWrittenForItsServer) {
  const Json row = {{"score", "not_scored"}, {"options", {"a", "b", "c", "d", "e"}}};
  const test::Outcome got = run("ego", {row, row}, " --submission egoschema");
  EXPECT_EQ(got.status, 0) << got.err;
  const Json written = Json::parse(test::read_text(out() / "submission.json"));
  ASSERT_EQ(written.size(), 2u);
  for (const auto& [id, index] : written.items()) EXPECT_TRUE(index >= -1 && index < 5) << id;
  const test::Outcome lacks = run("ego", {row}, " --submission mlvu");
  EXPECT_EQ(lacks.status, 1);
  EXPECT_NE(lacks.err.find("\"question_type\""), std::string::npos) << lacks.err;
}

TEST_F(EvalCommand, ThePapersProtocolIsAPreset) {
  const auto settings = [&](const std::string& more) {
    test::write_text(folder / "set.jsonl", R"({"id":1,"question":"q","score":"not_scored"})");
    const std::filesystem::path to = folder / ("out" + std::to_string(runs_++));
    const test::Outcome got = test::run("eval " + test::model() + " " + (folder / "set.jsonl").string() +
                                        " --out " + to.string() + " --limit 1 " + more);
    EXPECT_EQ(got.status, 0) << got.err;
    return Json::parse(test::read_text(to / "summary.json"))["settings"];
  };
  const Json plain = settings("--max-new-tokens 3"), paper = settings("--preset paper --max-new-tokens 3"),
             changed = settings("--preset paper --fps 2 --max-new-tokens 3"),
             counted = settings("--preset paper --num-frames 4 --max-new-tokens 3");
  EXPECT_FALSE(plain["media"].contains("fps"));
  EXPECT_EQ(paper["media"]["fps"], 1.0);
  EXPECT_EQ(paper["media"]["max_frames"], 180);
  EXPECT_EQ(changed["media"]["fps"], 2.0);
  EXPECT_EQ(changed["media"]["max_frames"], 180);
  EXPECT_EQ(counted["media"]["num_frames"], 4);
  EXPECT_FALSE(counted["media"].contains("fps"));
  EXPECT_EQ(paper["generation"]["max_new_tokens"], 3);
}

}  // namespace
}  // namespace vl3
