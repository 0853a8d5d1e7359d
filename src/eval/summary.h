#pragma once
// Scores of many samples as one reads them: means, and what some sets count beside them.

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "eval/tasks.h"
#include "vl3/json.h"

namespace vl3::eval {

// Of some samples: how many were scored, and their mean score.
class Tally {
 public:
  void add(const Sample& sample, const Json& score);  // score: null where nobody could say
  int64_t count() const noexcept { return count_; }
  double mean() const noexcept { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }
  // {"count", "accuracy"}, accuracy being null where nothing was scored; "not_scored" where there are such
  // samples; "recall" of times: the shares of samples with at least 0.3, 0.5 and 0.7.
  Json to_json() const;

 private:
  int64_t count_ = 0, not_scored_ = 0, spans_ = 0;
  double sum_ = 0;
  std::array<int64_t, 3> recalled_{};
};

// Pairs of questions, by task: MME's way of counting.
class PairTally {
 public:
  // line: the answer; null where there is none yet.
  void add(const Sample& sample, const Json* line);
  bool empty() const noexcept { return tasks_.empty(); }
  // Of a task: {"count": pairs that are answered, "accuracy_plus": the share of those answered rightly,
  // "points": 100 · (accuracy of its answers + accuracy_plus)}; null where it has no pairs.
  Json of_task(const std::string& task) const;
  // {"count", "points": of all tasks together, "groups": {group: points}}.
  Json to_json() const;

 private:
  struct Pair {
    bool whole = true, right = true;
  };
  struct Task {
    std::map<std::string, Pair> pairs;
    int64_t answers = 0;
    double right = 0;
    std::string group;
    int64_t whole() const;
    double accuracy_plus() const;
    double points() const;
  };
  std::map<std::string, Task> tasks_;
};

// "overall", "tasks" and "sets" of summary.json (docs/evaluation.md).
class Summary {
 public:
  // line: the sample's answer, of which its score is read; null where there is none yet.
  void add(const Sample& sample, const Json* line);
  Json to_json() const;

 private:
  struct Set {
    Tally all;
    std::map<std::string, Tally> tasks;
    PairTally pairs;
  };
  Tally overall_;
  std::map<std::string, Tally> tasks_;
  std::map<std::string, Set> sets_;
};

}  // namespace vl3::eval
