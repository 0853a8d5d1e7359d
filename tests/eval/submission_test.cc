// Answers as servers of test sets want them.

#include "eval/submission.h"

#include "support/support.h"
#include "vl3/error.h"

namespace vl3::eval {
namespace {

std::vector<Sample> rows(const std::string& text) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "set.jsonl", text);
  return read_tasks(folder / "set.jsonl");
}

Submission made(const std::string& format, const std::string& text,
                const std::map<std::string, std::string>& replies) {
  const std::vector<Sample> samples = rows(text);
  check_submission(format, samples);
  return make_submission(format, samples, [&](const Sample& sample) { return replies.at(sample.id); });
}

TEST(Submission, EgoSchemaHasIndices) {
  const Submission got =
      made("egoschema",
           R"({"id":"u1","question":"q","score":"not_scored","options":["a","b","c","d","e"]})"
           "\n"
           R"({"id":"u2","question":"q","score":"not_scored","options":["a","b","c","d","e"]})"
           "\n"
           R"({"id":"u3","question":"q","score":"first_letter","answer":"A","options":5})",
           {{"u1", "(E)"}, {"u2", "?"}, {"u3", "The answer is B"}});
  EXPECT_EQ(got.content, (Json{{"u1", 4}, {"u2", -1}, {"u3", 1}}));
  EXPECT_EQ(got.unpicked, std::vector<std::string>{"u2"});
}

TEST(Submission, PerceptionTestIsByVideo) {
  const Submission got = made(
      "perception_test",
      R"({"id":"1","question":"q","score":"not_scored","options":["x","y","z"],"video_id":"v1","question_id":7})"
      "\n"
      R"({"id":"2","question":"q","score":"not_scored","options":["x","y","z"],"video_id":"v1","question_id":8})"
      "\n"
      R"({"id":"3","question":"q","score":"not_scored","options":["x","y","z"],"video_id":"v2","question_id":7})",
      {{"1", "B"}, {"2", "z"}, {"3", "none"}});
  const Json expected = {
      {"v1",
       {{{"id", 7}, {"answer_id", 1}, {"answer", "y"}}, {{"id", 8}, {"answer_id", 2}, {"answer", "z"}}}},
      {"v2", Json::array({{{"id", 7}, {"answer_id", -1}, {"answer", "none"}}})}};
  EXPECT_EQ(got.content, expected);
}

TEST(Submission, OthersAreListsAndTexts) {
  const std::string row =
      R"({"id":"AR_0","question":"q","score":"not_scored","options":4,"question_type":"anomaly_reco"})";
  EXPECT_EQ(made("mlvu", row, {{"AR_0", "D"}}).content,
            Json::array({{{"question_id", "AR_0"}, {"question_type", "anomaly_reco"}, {"option", "D"}}}));
  const std::string pages = R"({"id":57344,"question":"q","score":"not_scored"})"
                            "\n"
                            R"({"id":"p007","question":"q","score":"anls","answer":"x"})";
  EXPECT_EQ(made("docvqa", pages, {{"57344", "the  reply, as it is."}, {"p007", ""}}).content,
            Json::array({{{"questionId", 57344}, {"answer", "the  reply, as it is."}},
                         {{"questionId", "p007"}, {"answer", ""}}}));
  const std::string mmmu = R"({"id":"m1","question":"q","score":"last_letter","answer":"B","options":3})"
                           "\n"
                           R"({"id":"m2","question":"q","score":"exact","answer":"5"})"
                           "\n"
                           R"({"id":"m3","question":"q","score":"not_scored","options":3})";
  EXPECT_EQ(made("mmmu", mmmu, {{"m1", "(A) no, (C)"}, {"m2", "42"}, {"m3", "Both said, it is (B)"}}).content,
            (Json{{"m1", "C"}, {"m2", "42"}, {"m3", "B"}}));
}

TEST(Submission, RowsThatLackWhatItNeedsAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"egoschema", "\"options\""},
      {"mlvu", "\"options\""},
      {"perception_test", "\"options\""},
      {"nonsense", "egoschema, perception_test, mlvu, docvqa, mmmu"}};
  const std::vector<Sample> plain = rows(R"({"id":"1","question":"q","answer":"a"})");
  const std::vector<Sample> numbered = rows(R"({"id":"1","question":"q","answer":"a","options":4})");
  const auto refusal = [](const std::string& format, const std::vector<Sample>& samples) -> std::string {
    try {
      check_submission(format, samples);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  for (const auto& [format, words] : cases)
    EXPECT_NE(refusal(format, plain).find(words), std::string::npos) << refusal(format, plain);
  EXPECT_NE(refusal("mlvu", numbered).find("\"question_type\""), std::string::npos);
  EXPECT_NE(refusal("perception_test", numbered).find("without texts"), std::string::npos);
  EXPECT_EQ(refusal("docvqa", plain), "");
  std::vector<Sample> two = plain;
  two.push_back(numbered[0]);
  two[1].set = "other";
  EXPECT_NE(refusal("docvqa", two).find("other"), std::string::npos);
}

}  // namespace
}  // namespace vl3::eval
