// An evaluation as a whole: answers are those of a question alone, and a folder is gone on with or refused.

#include "eval/evaluate.h"

#include <algorithm>

#include "base/json.h"
#include "checkpoint/fingerprint.h"
#include "support/support.h"

namespace vl3::eval {
namespace {

std::string media(const char* name) { return test::data_path("../../examples/media").string() + "/" + name; }
std::filesystem::path model() { return test::data_path("../../models/tiny"); }

class Evaluation : public ::testing::Test {
 protected:
  Evaluation() {
    std::string rows;
    const auto add = [&](const char* kind, const char* file, const char* question) {
      Json row = {{"id", samples_++}, {"task", *kind == '\0' ? "text" : kind}};
      if (*kind != '\0') row[kind] = media(file);
      row["question"] = question;
      row["answer"] = "red";
      rows += row.dump() + "\n";
    };
    for (const char* question : {"What is it?", "Which colour has the circle?", "And now, in a few words?"}) {
      add("image", "shapes.png", question);
      add("", "", question);
      add("video", "moving.mp4", question);
    }
    test::write_text(folder_ / "rows.jsonl", rows);
    options_.generation = engine_.default_settings();
    options_.generation.max_new_tokens = 12;
    options_.request = [this](const Json& messages) {
      ++asked_;
      return engine_.processor().request_for(messages);
    };
  }

  std::vector<Sample> samples() const { return read_tasks(folder_ / "rows.jsonl"); }
  std::filesystem::path out() const { return folder_ / "out"; }
  std::string lines() const { return test::read_text(out() / "answers.jsonl"); }
  int64_t count_lines() const {
    const std::string text = lines();
    return std::count(text.begin(), text.end(), '\n');
  }
  Json run(const std::vector<Sample>& chosen, const Json& settings = {{"fps", 1}}) {
    AnswerFolder answers(out(), fingerprint(model()), settings);
    return evaluate(context_, engine_, options_, chosen, answers);
  }
  std::string refusal(const Json& model_print, const Json& settings) const {
    try {
      AnswerFolder(out(), model_print, settings);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

  const test::TemporaryFolder folder_;
  Engine engine_ = Engine::open(model(), {.feature_cache_bytes = int64_t{1} << 28});
  Context context_;
  EvalOptions options_;
  int samples_ = 0, asked_ = 0;
};

TEST_F(Evaluation, ABatchAnswersAsEveryQuestionAlone) {
  const Engine plain = Engine::open(model());
  for (const int64_t batch : {1, 4, 16}) {
    std::filesystem::remove_all(out());
    options_.batch = batch;
    const Json summary = run(samples());
    EXPECT_EQ(summary["overall"]["count"], samples_);
    AnswerFolder answers(out(), fingerprint(model()), {{"fps", 1}});
    for (const Sample& sample : samples()) {
      const Json* line = answers.find(sample);
      ASSERT_NE(line, nullptr);
      Context alone;
      const auto request = plain.processor().request_for(Json::array({sample.message}));
      const auto result = plain.answer(alone, request, greedy(options_.generation)).results[0];
      EXPECT_EQ((*line)["reply"],
                Json::parse(Json(result.text).dump(-1, ' ', false, Json::error_handler_t::replace)));
      EXPECT_EQ((*line)["new_tokens"], result.new_ids.size());
      EXPECT_EQ((*line)["score"], score(result.text, sample.expected));
    }
  }
  EXPECT_GT(engine_.cache_stats().pictures, 0);
}

TEST_F(Evaluation, GoesOnWhereItStopped) {
  options_.batch = 1;
  const std::vector<Sample> some = choose(samples(), {}, 1);
  EXPECT_EQ(run(some)["overall"]["count"], 3);
  const std::string before = lines();
  test::write_text(out() / "answers.jsonl",
                   before + R"({"set":"rows","id":"8","sco)");  // killed while writing
  asked_ = 0;
  const Json summary = run(samples());
  EXPECT_EQ(asked_, samples_ - 3);
  EXPECT_EQ(lines().substr(0, before.size()), before);
  EXPECT_EQ(count_lines(), samples_);
  EXPECT_EQ(summary["complete"], true);
  EXPECT_EQ(summary["tasks"]["video"]["count"], 3);
  EXPECT_EQ(summary["sets"]["rows"]["tasks"]["text"]["count"], 3);
  EXPECT_EQ(summary, parse_json(test::read_text(out() / "summary.json"), "summary"));
  asked_ = 0;
  EXPECT_EQ(run(samples()), summary);
  EXPECT_EQ(asked_, 0);
}

TEST_F(Evaluation, StopsBetweenWholeLines) {
  options_.batch = 2;
  options_.progress = [&](int64_t done, int64_t) {
    if (done >= 4) context_.cancel();
  };
  try {
    run(samples());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  EXPECT_EQ(count_lines(), 4);
  EXPECT_EQ(lines().back(), '\n');
  const Json summary = parse_json(test::read_text(out() / "summary.json"), "summary");
  EXPECT_EQ(summary["complete"], false);
  EXPECT_EQ(summary["overall"]["count"], 4);
}

TEST_F(Evaluation, RefusesAnswersOfAnotherModelOrOtherSettings) {
  run(choose(samples(), {}, 1));
  const Json same = fingerprint(model());
  EXPECT_EQ(refusal(same, {{"fps", 1}}), "");
  const std::string settings = refusal(same, {{"fps", 2}, {"backend", "pil"}});
  EXPECT_NE(settings.find("fps was 1, is 2"), std::string::npos) << settings;
  EXPECT_NE(settings.find("backend was null, is \"pil\""), std::string::npos) << settings;
  Json other = same;
  other["path"] = "/elsewhere";  // a copy is the same model
  EXPECT_EQ(refusal(other, {{"fps", 1}}), "");
  other["files"]["config.json"] = "0";
  EXPECT_NE(refusal(other, {{"fps", 1}}).find("config.json"), std::string::npos);

  std::vector<Sample> changed = samples();
  changed[0].question = "Another?";
  EXPECT_THROW(run(changed), Error);
  {
    const AnswerFolder held(out(), same, {{"fps", 1}});
    EXPECT_NE(refusal(same, {{"fps", 1}}).find("another process"), std::string::npos);
  }
  test::write_text(out() / "answers.jsonl", lines() + "nonsense\n");
  EXPECT_NE(refusal(same, {{"fps", 1}}).find("answers.jsonl:4"), std::string::npos);
  std::filesystem::remove(out() / "summary.json");
  EXPECT_NE(refusal(same, {{"fps", 1}}), "");
}

TEST_F(Evaluation, NamesTheSampleThatCannotBeAnswered) {
  test::write_text(folder_ / "broken.png", "\x89PNG\r\n\x1a\nbroken");
  std::vector<Sample> all = samples();
  const Json broken = {{"type", "image"}, {"image", (folder_ / "broken.png").string()}};
  all[4].message["content"].push_back(broken);
  try {
    run(all);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("rows.jsonl:5"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("broken.png"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace vl3::eval
