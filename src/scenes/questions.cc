#include "scenes/questions.h"

#include <algorithm>
#include <map>
#include <set>

namespace vl3::scenes {

void keep_tasks(std::vector<Turn>& turns, const std::vector<std::string>& tasks) {
  if (tasks.empty()) return;
  std::erase_if(turns, [&](const Turn& turn) {
    return std::find(tasks.begin(), tasks.end(), turn.task) == tasks.end();
  });
}

void Questions::ask(const char* task, const std::vector<std::string>& phrasings, const std::string& answer) {
  all_.push_back({task, random_.pick(phrasings), answer, Score::kExact, 0, {}, subjects_});
}

void Questions::ask_number(const char* task, const std::vector<std::string>& phrasings,
                           const std::string& answer, double tolerance) {
  all_.push_back({task, random_.pick(phrasings), answer, Score::kNumber, tolerance, {}, subjects_});
}

void Questions::ask_mentions(const char* task, const std::vector<std::string>& phrasings,
                             const std::string& answer, const std::vector<std::string>& mentions) {
  all_.push_back({task, random_.pick(phrasings), answer, Score::kMentions, 0, mentions, subjects_});
}

void Questions::keep_one_of_each_subject() {
  std::set<int> used;
  std::erase_if(all_, [&](const Turn& turn) {
    const auto& subjects = turn.subjects;
    if (std::any_of(subjects.begin(), subjects.end(), [&](int s) { return used.contains(s); })) return true;
    used.insert(subjects.begin(), subjects.end());
    return false;
  });
}

void Questions::open(const Options& options, std::vector<Turn>& turns) {
  std::vector<Turn> opening = {*opening_};
  keep_tasks(opening, options.ask);
  const auto is_it = [&](const Turn& turn) { return turn.question == opening_->question; };
  if (opening.empty() || std::any_of(turns.begin(), turns.end(), is_it) || !random_.chance(0.5)) return;
  turns.insert(turns.begin(), opening[0]);
  if (static_cast<int>(turns.size()) > options.questions) turns.pop_back();
}

std::vector<Turn> Questions::choose(const Options& options) {
  random_.shuffle(all_);
  keep_tasks(all_, options.ask);
  if (options.split == Split::kTrain) keep_one_of_each_subject();
  std::map<std::string, int> asked;
  std::vector<std::pair<int, Turn>> ordered;
  for (Turn& turn : all_) {
    const int round = asked[turn.task]++;
    ordered.emplace_back(round, std::move(turn));
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Turn> turns;
  for (auto& [round, turn] : ordered)
    if (static_cast<int>(turns.size()) < options.questions) turns.push_back(std::move(turn));
  random_.shuffle(turns);
  if (options.split == Split::kTrain && opening_) open(options, turns);
  return turns;
}

}  // namespace vl3::scenes
