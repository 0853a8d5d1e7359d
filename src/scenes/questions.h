#pragma once
// What can be asked about a scene, and the choice of what is asked.

#include <string>
#include <vector>

#include "scenes/random.h"
#include "scenes/scenes.h"

namespace vl3::scenes {

class Questions {
 public:
  explicit Questions(Random& random) : random_(random) {}

  // One of the phrasings is asked. The answer is compared word for word.
  void ask(const char* task, const std::vector<std::string>& phrasings, const std::string& answer);
  void ask_number(const char* task, const std::vector<std::string>& phrasings, const std::string& answer,
                  double tolerance);
  void ask_mentions(const char* task, const std::vector<std::string>& phrasings, const std::string& answer,
                    const std::vector<std::string>& mentions);

  // At most `count` of them in random order: one of every task before a second one of any.
  std::vector<Turn> choose(int count);

 private:
  Random& random_;
  std::vector<Turn> all_;
};

}  // namespace vl3::scenes
