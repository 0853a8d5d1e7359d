#include <algorithm>
#include <array>

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

}  // namespace

const std::vector<std::string>& kind_names() {
  static const std::vector<std::string> names = {"shapes",   "words", "chart", "table",
                                                 "document", "clip",  "text"};
  return names;
}

Scene make_scene(const Options& options, uint64_t index) {
  require(!options.kinds.empty(), ErrorCode::kInvalidArgument, "[scenes] no kinds to choose from");
  const uint64_t split = static_cast<uint64_t>(options.split);
  // Hashed one after the other: two hashes side by side would make scene 3 of one split scene 4 of another.
  Random random(splitmix64(options.seed * 3 + split) ^ index);
  using Maker = Scene (*)(const Options&, Random&);
  constexpr std::array<Maker, 7> kMakers = {make_shapes,   make_words, make_chart, make_table,
                                            make_document, make_clip,  make_text};
  Scene scene = kMakers[static_cast<size_t>(random.pick(options.kinds))](options, random);
  if (options.split == Split::kTrain) put_mentions_last(scene.turns, random);
  return scene;
}

}  // namespace vl3::scenes
