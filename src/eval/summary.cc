#include "eval/summary.h"

#include <algorithm>

namespace vl3::eval {
namespace {

constexpr std::array<double, 3> kRecalledFrom = {0.3, 0.5, 0.7};
constexpr std::array<const char*, 3> kRecallNames = {"0.3", "0.5", "0.7"};

double share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

Json to_json(const std::map<std::string, Tally>& tallies) {
  Json result = Json::object();
  for (const auto& [name, tally] : tallies) result[name] = tally.to_json();
  return result;
}

}  // namespace

void Tally::add(const Sample& sample, const Json& score) {
  if (score.is_null()) {
    ++not_scored_;
    return;
  }
  const auto value = score.get<double>();
  ++count_;
  sum_ += value;
  if (sample.expected.kind != ScoreKind::kTemporalIou) return;
  ++spans_;
  for (size_t i = 0; i < kRecalledFrom.size(); ++i) recalled_[i] += value >= kRecalledFrom[i] ? 1 : 0;
}

Json Tally::to_json() const {
  Json json = {{"count", count_}, {"accuracy", count_ > 0 ? Json(mean()) : Json()}};
  if (not_scored_ > 0) json["not_scored"] = not_scored_;
  for (size_t i = 0; spans_ > 0 && i < recalled_.size(); ++i)
    json["recall"][kRecallNames[i]] = share(recalled_[i], spans_);
  return json;
}

void PairTally::add(const Sample& sample, const Json* line) {
  if (sample.pair.empty()) return;
  Task& task = tasks_[sample.task];
  if (!sample.group.empty()) task.group = sample.group;
  Pair& pair = task.pairs[sample.pair];
  const bool scored = line != nullptr && !(*line)["score"].is_null();
  const double score = scored ? (*line)["score"].get<double>() : 0;
  pair.whole = pair.whole && scored;
  pair.right = pair.right && score == 1;
  task.answers += scored ? 1 : 0;
  task.right += score;
}

int64_t PairTally::Task::whole() const {
  return std::count_if(pairs.begin(), pairs.end(), [](const auto& pair) { return pair.second.whole; });
}

double PairTally::Task::accuracy_plus() const {
  const auto both = std::count_if(pairs.begin(), pairs.end(),
                                  [](const auto& pair) { return pair.second.whole && pair.second.right; });
  return share(both, whole());
}

double PairTally::Task::points() const {
  return 100 * ((answers > 0 ? right / static_cast<double>(answers) : 0) + accuracy_plus());
}

Json PairTally::of_task(const std::string& task) const {
  const auto found = tasks_.find(task);
  if (found == tasks_.end()) return {};
  return {{"count", found->second.whole()},
          {"accuracy_plus", found->second.accuracy_plus()},
          {"points", found->second.points()}};
}

Json PairTally::to_json() const {
  Json json = {{"count", 0}, {"points", 0.0}};
  for (const auto& [name, task] : tasks_) {
    json["count"] = json["count"].get<int64_t>() + task.whole();
    json["points"] = json["points"].get<double>() + task.points();
    if (task.group.empty()) continue;
    const double before = json.contains("groups") ? json["groups"].value(task.group, 0.0) : 0.0;
    json["groups"][task.group] = before + task.points();
  }
  return json;
}

void Summary::add(const Sample& sample, const Json* line) {
  Set& set = sets_[sample.set];
  set.pairs.add(sample, line);
  if (line == nullptr) return;
  const Json& score = (*line)["score"];
  for (Tally* tally : {&overall_, &tasks_[sample.task], &set.all, &set.tasks[sample.task]})
    tally->add(sample, score);
}

Json Summary::to_json() const {
  double sum = 0;
  int64_t scored_tasks = 0;
  for (const auto& [name, tally] : tasks_) {
    sum += tally.mean();
    scored_tasks += tally.count() > 0 ? 1 : 0;
  }
  Json summary = {{"overall", overall_.to_json()}};
  summary["overall"]["mean_of_tasks"] =
      scored_tasks > 0 ? Json(sum / static_cast<double>(scored_tasks)) : Json();
  summary["tasks"] = eval::to_json(tasks_);
  summary["sets"] = Json::object();
  for (const auto& [name, set] : sets_) {
    if (set.tasks.empty()) continue;  // nothing of it is answered
    Json json = set.all.to_json();
    json["tasks"] = eval::to_json(set.tasks);
    for (const auto& [task, ignored] : set.tasks) {
      if (Json pairs = set.pairs.of_task(task); !pairs.is_null()) json["tasks"][task]["pairs"] = pairs;
    }
    if (!set.pairs.empty()) json["pairs"] = set.pairs.to_json();
    summary["sets"][name] = std::move(json);
  }
  return summary;
}

}  // namespace vl3::eval
