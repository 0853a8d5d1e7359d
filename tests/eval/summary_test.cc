// Means, recall, pairs, and samples that nobody here can score.

#include "eval/summary.h"

#include <gtest/gtest.h>

namespace vl3::eval {
namespace {

Sample sample(const std::string& set, const std::string& task, ScoreKind kind = ScoreKind::kExact,
              const std::string& pair = "", const std::string& group = "") {
  Sample result;
  result.set = set;
  result.task = task;
  result.expected.kind = kind;
  result.pair = pair;
  result.group = group;
  return result;
}

class Counted : public testing::Test {
 protected:
  void add(const Sample& one, const Json& score) {
    const Json line = {{"score", score}};
    summary.add(one, &line);
  }
  Summary summary;
};

TEST_F(Counted, MeansAreOfTasksAndSets) {
  add(sample("a", "x"), 1);
  add(sample("a", "x"), 0);
  add(sample("a", "y"), 1);
  add(sample("b", "x"), 0);
  summary.add(sample("c", "x"), nullptr);  // not answered
  const Json json = summary.to_json();
  EXPECT_EQ(json["overall"], (Json{{"count", 4}, {"accuracy", 0.5}, {"mean_of_tasks", (1.0 / 3 + 1) / 2}}));
  EXPECT_EQ(json["sets"]["a"]["tasks"]["x"], (Json{{"count", 2}, {"accuracy", 0.5}}));
  EXPECT_EQ(json["sets"].size(), 2u);
}

TEST_F(Counted, WhatIsNotScoredIsInNoAverage) {
  add(sample("a", "x"), 1);
  add(sample("a", "x", ScoreKind::kNotScored), nullptr);
  add(sample("a", "y", ScoreKind::kNotScored), nullptr);
  const Json json = summary.to_json();
  EXPECT_EQ(json["overall"],
            (Json{{"count", 1}, {"accuracy", 1.0}, {"not_scored", 2}, {"mean_of_tasks", 1.0}}));
  EXPECT_EQ(json["tasks"]["y"], (Json{{"count", 0}, {"accuracy", nullptr}, {"not_scored", 1}}));
}

TEST_F(Counted, RecallIsTheShareFromEachOverlapOn) {
  for (const double iou : {0.0, 0.3, 0.5, 0.69, 1.0}) add(sample("a", "x", ScoreKind::kTemporalIou), iou);
  const Json json = summary.to_json()["sets"]["a"];
  EXPECT_EQ(json["recall"], (Json{{"0.3", 0.8}, {"0.5", 0.6}, {"0.7", 0.2}}));
  EXPECT_NEAR(json["accuracy"].get<double>(), 2.49 / 5, 1e-12);
}

TEST_F(Counted, PairsCountOnceMoreTogether) {
  const auto pair = [&](const char* task, const char* name, double first, double second, const char* group) {
    add(sample("mme", task, ScoreKind::kYesNo, name, group), first);
    add(sample("mme", task, ScoreKind::kYesNo, name, group), second);
  };
  pair("existence", "1", 1, 1, "Perception");
  pair("existence", "2", 1, 0, "Perception");
  pair("count", "1", 0, 0, "Perception");
  pair("code", "1", 1, 1, "Cognition");
  const Sample half = sample("mme", "code", ScoreKind::kYesNo, "2", "Cognition");
  add(half, 1);
  summary.add(half, nullptr);  // its other question has no answer yet
  const Json json = summary.to_json()["sets"]["mme"];
  EXPECT_EQ(json["tasks"]["existence"]["pairs"],
            (Json{{"count", 2}, {"accuracy_plus", 0.5}, {"points", 125.0}}));
  EXPECT_EQ(json["tasks"]["count"]["pairs"]["points"], 0.0);
  EXPECT_EQ(json["tasks"]["code"]["pairs"], (Json{{"count", 1}, {"accuracy_plus", 1.0}, {"points", 200.0}}));
  EXPECT_EQ(
      json["pairs"],
      (Json{{"count", 4}, {"points", 325.0}, {"groups", {{"Cognition", 200.0}, {"Perception", 125.0}}}}));
}

}  // namespace
}  // namespace vl3::eval
