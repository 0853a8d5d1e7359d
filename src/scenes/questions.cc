#include "scenes/questions.h"

#include <algorithm>
#include <map>
#include <utility>

namespace vl3::scenes {

void Questions::ask(const char* task, const std::vector<std::string>& phrasings, const std::string& answer) {
  all_.push_back({task, random_.pick(phrasings), answer, Score::kExact, 0, {}});
}

void Questions::ask_number(const char* task, const std::vector<std::string>& phrasings,
                           const std::string& answer, double tolerance) {
  all_.push_back({task, random_.pick(phrasings), answer, Score::kNumber, tolerance, {}});
}

void Questions::ask_mentions(const char* task, const std::vector<std::string>& phrasings,
                             const std::string& answer, const std::vector<std::string>& mentions) {
  all_.push_back({task, random_.pick(phrasings), answer, Score::kMentions, 0, mentions});
}

std::vector<Turn> Questions::choose(int count) {
  random_.shuffle(all_);
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
    if (static_cast<int>(turns.size()) < count) turns.push_back(std::move(turn));
  random_.shuffle(turns);
  return turns;
}

}  // namespace vl3::scenes
