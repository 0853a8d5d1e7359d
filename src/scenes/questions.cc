#include "scenes/questions.h"

#include <algorithm>
#include <map>
#include <set>

namespace vl3::scenes {

void Questions::add(Turn turn) { all_.push_back({std::move(turn), subjects_}); }

void Questions::ask(const char* task, const std::vector<std::string>& phrasings, const std::string& answer) {
  add({task, random_.pick(phrasings), answer, Score::kExact, 0, {}});
}

void Questions::ask_number(const char* task, const std::vector<std::string>& phrasings,
                           const std::string& answer, double tolerance) {
  add({task, random_.pick(phrasings), answer, Score::kNumber, tolerance, {}});
}

void Questions::ask_mentions(const char* task, const std::vector<std::string>& phrasings,
                             const std::string& answer, const std::vector<std::string>& mentions) {
  add({task, random_.pick(phrasings), answer, Score::kMentions, 0, mentions});
}

void Questions::keep_tasks(const std::vector<std::string>& tasks) {
  const auto is_other = [&](const Asked& asked) {
    return std::find(tasks.begin(), tasks.end(), asked.turn.task) == tasks.end();
  };
  if (!std::all_of(all_.begin(), all_.end(), is_other)) std::erase_if(all_, is_other);
}

void Questions::keep_one_of_each_subject() {
  std::set<int> used;
  std::erase_if(all_, [&](const Asked& asked) {
    const auto& subjects = asked.subjects;
    if (std::any_of(subjects.begin(), subjects.end(), [&](int s) { return used.contains(s); })) return true;
    used.insert(subjects.begin(), subjects.end());
    return false;
  });
}

std::vector<Turn> Questions::choose(const Options& options) {
  random_.shuffle(all_);
  keep_tasks(options.ask);
  if (options.split == Split::kTrain) keep_one_of_each_subject();
  std::map<std::string, int> asked;
  std::vector<std::pair<int, Turn>> ordered;
  for (Asked& a : all_) {
    const int round = asked[a.turn.task]++;
    ordered.emplace_back(round, std::move(a.turn));
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Turn> turns;
  for (auto& [round, turn] : ordered)
    if (static_cast<int>(turns.size()) < options.questions) turns.push_back(std::move(turn));
  random_.shuffle(turns);
  return turns;
}

}  // namespace vl3::scenes
