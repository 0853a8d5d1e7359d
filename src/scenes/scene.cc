#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>

#include "base/check.h"
#include "scenes/kinds.h"

namespace vl3::scenes {
namespace {

// A reply that mentions everything (a caption) would answer whatever is asked after it without a look at the
// picture: to train on it stands alone in half of the scenes, and last in the others.
void put_mentions_last(std::vector<Turn>& turns, Random& random) {
  const auto mentions = std::stable_partition(
      turns.begin(), turns.end(), [](const Turn& turn) { return turn.score != Score::kMentions; });
  if (mentions != turns.end() && random.chance(0.5)) turns.erase(turns.begin(), mentions);
}

Scene draw(const Options& options, Random& random) {
  using Maker = Scene (*)(const Options&, Random&);
  constexpr std::array<Maker, 7> kMakers = {make_shapes,   make_words, make_chart, make_table,
                                            make_document, make_clip,  make_text};
  return kMakers[static_cast<size_t>(random.pick(options.kinds))](options, random);
}

constexpr int kDraws = 1000;  // every task comes up in a hundred scenes of its kind

}  // namespace

const std::vector<std::string>& kind_names() {
  static const std::vector<std::string> names = {"shapes",   "words", "chart", "table",
                                                 "document", "clip",  "text"};
  return names;
}

void check_asked(Options options) {
  const std::vector<std::string> asked = std::exchange(options.ask, {});
  if (asked.empty()) return;
  options.questions = std::numeric_limits<int>::max();
  std::set<std::string> tasks;
  for (int i = 0; i < kDraws; ++i)
    for (const Turn& turn : make_scene(options, static_cast<uint64_t>(i)).turns) tasks.insert(turn.task);
  for (const std::string& task : asked) {
    require(tasks.contains(task), ErrorCode::kInvalidArgument, "[scenes] no scene asks \"{}\"; these ask {}",
            task, fmt::join(tasks, ", "));
  }
}

Scene make_scene(const Options& options, uint64_t index) {
  require(!options.kinds.empty(), ErrorCode::kInvalidArgument, "[scenes] no kinds to choose from");
  const uint64_t split = static_cast<uint64_t>(options.split);
  // Hashed one after the other: two hashes side by side would make scene 3 of one split scene 4 of another.
  Random random(splitmix64(options.seed * 3 + split) ^ index);
  for (int drawn = 0; drawn < kDraws; ++drawn) {
    Scene scene = draw(options, random);
    if (scene.turns.empty()) continue;  // it has nothing that options.ask wants
    if (options.split == Split::kTrain) put_mentions_last(scene.turns, random);
    return scene;
  }
  fail(ErrorCode::kInvalidArgument, "[scenes] none of {} scenes asks {}", kDraws,
       fmt::join(options.ask, ", "));
}

}  // namespace vl3::scenes
