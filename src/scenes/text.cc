// Text alone: scenes told instead of shown, sums, comparisons, words to repeat, and what the model is.

#include <fmt/format.h>

#include <algorithm>

#include "scenes/kinds.h"
#include "scenes/questions.h"
#include "scenes/vocabulary.h"

namespace vl3::scenes {
namespace {

// A scene's description, then its questions: what a reader of pictures has to know about language.
Scene told_scene(const Options& options, Random& random) {
  Options all = options;
  all.questions = 1000;
  all.ask = {};  // its description is needed, and all that is asked about it is of one task
  constexpr Scene (*kMakers[])(const Options&, Random&) = {make_shapes, make_shapes, make_chart,   make_clip,
                                                           make_clip,   make_table,  make_document};
  Scene scene = kMakers[random.below(7)](all, random);
  const auto caption = std::find_if(scene.turns.begin(), scene.turns.end(),
                                    [](const Turn& turn) { return turn.score == Score::kMentions; });
  const std::string told = caption->answer;
  scene.turns.erase(caption);
  // What a description of a clip leaves out.
  std::erase_if(scene.turns, [&](const Turn& turn) { return scene.fps > 0 && turn.task == "count"; });
  if (static_cast<int>(scene.turns.size()) > options.questions)
    scene.turns.resize(static_cast<size_t>(options.questions));
  const char* medium = scene.fps > 0 ? "clip" : "picture";
  scene.told =
      fmt::format("{}: {}", random.chance(0.5) ? medium : fmt::format("this is the {}", medium), told);
  scene.frames.clear();
  scene.fps = 0;
  return scene;
}

Turn small_talk(Random& random) {
  static const std::vector<std::vector<std::string>> kTalk = {
      {"hello.", "hello. show me a picture or a clip."},
      {"hi.", "hello. show me a picture or a clip."},
      {"who are you?", "a small model that sees pictures and clips."},
      {"what are you?", "a small model that sees pictures and clips."},
      {"what can you do?",
       "name shapes, colours and places, count, read words, charts and tables, and tell what happens in "
       "clips."},
      {"what can you see?", "pictures and clips of shapes, words, charts and tables."},
      {"which colours do you know?", "red, green, blue, yellow, purple, orange, black and pink."},
      {"which shapes do you know?", "circles, squares, triangles, stars, crosses and rings."},
      {"thank you.", "you are welcome."},
      {"goodbye.", "goodbye."},
  };
  const auto& talk = random.pick(kTalk);
  return {"talk", talk[0], talk[1], Score::kExact, 0, {}};
}

Turn exercise(Random& random, Split split) {
  const int a = random.below(10), b = random.below(10);
  switch (random.below(4)) {
    case 0:
      return {"sum", fmt::format("what is {} plus {}?", a, b), std::to_string(a + b), Score::kExact, 0, {}};
    case 1:
      return {"larger",
              fmt::format("which is larger, {} or {}?", a, a == b ? a + 1 : b),
              std::to_string(a == b ? a + 1 : std::max(a, b)),
              Score::kExact,
              0,
              {}};
    case 2: {
      const std::string word = random_word(random, split, random.between(2, 5));
      return {"repeat", fmt::format("repeat the word {}.", word), word, Score::kExact, 0, {}};
    }
    default: {
      std::vector<std::string> names;
      const int count = random.between(1, 5);
      for (int i = 0; i < count; ++i)
        names.emplace_back(colours()[static_cast<size_t>(random.below(kColours))].name);
      const std::string asked = random.pick(names);
      return {"told_count",
              fmt::format("{}. how many times is {} named?", fmt::join(names, ", "), asked),
              std::to_string(std::count(names.begin(), names.end(), asked)),
              Score::kExact,
              0,
              {}};
    }
  }
}

}  // namespace

Scene make_text(const Options& options, Random& random) {
  Scene scene;
  if (random.chance(0.7)) {
    scene = told_scene(options, random);
    for (Turn& turn : scene.turns) turn.task = "text";
  } else {
    for (int i = 0; i < options.questions; ++i)
      scene.turns.push_back(random.chance(0.25) ? small_talk(random) : exercise(random, options.split));
  }
  keep_tasks(scene.turns, options.ask);
  scene.kind = Kind::kText;
  return scene;
}

}  // namespace vl3::scenes
