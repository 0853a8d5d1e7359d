#pragma once
// What can be asked about a scene, and the choice of what is asked.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scenes/random.h"
#include "scenes/scenes.h"

namespace vl3::scenes {

// Turns of these tasks alone; of none: all.
void keep_tasks(std::vector<Turn>& turns, const std::vector<std::string>& tasks);

class Questions {
 public:
  explicit Questions(Random& random) : random_(random) {}

  // One of the phrasings is asked. The answer is compared word for word.
  void ask(const char* task, const std::vector<std::string>& phrasings, const std::string& answer);
  void ask_number(const char* task, const std::vector<std::string>& phrasings, const std::string& answer,
                  double tolerance);
  void ask_mentions(const char* task, const std::vector<std::string>& phrasings, const std::string& answer,
                    const std::vector<std::string>& mentions);

  // The subjects of questions asked from now on.
  void about(std::vector<int> subjects) { subjects_ = std::move(subjects); }

  // The last question asked is told apart: to train on, it opens half of the scenes whatever the others are
  // about. For what needs two things together, and says little of either.
  void may_open() { opening_ = all_.back(); }

  // Those of the tasks of options.ask, or all; at most options.questions of them in random order: one of
  // every task before a second one of any. To train on, no two are about the same subject: the later one
  // would be answered from the earlier one, without a look at the picture.
  std::vector<Turn> choose(const Options& options);

 private:
  void keep_one_of_each_subject();
  void open(const Options& options, std::vector<Turn>& turns);

  Random& random_;
  std::vector<Turn> all_;
  std::optional<Turn> opening_;
  std::vector<int> subjects_;
};

}  // namespace vl3::scenes
