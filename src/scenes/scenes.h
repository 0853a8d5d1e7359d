#pragma once
// Made-up pictures, clips and texts with questions whose answers are known: what the demo model is trained
// and tested on. docs/scenes.md shows them.
//
// A scene is a function of the options and its index, whatever else is made.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/image.h"

namespace vl3::scenes {

// kTrain and kTest differ in seeds and have none of the combinations held out; every scene of kHeldout, of
// the kinds that know such combinations, is about one: colour and shape, shape and place, or a word.
enum class Split { kTrain, kTest, kHeldout };

enum class Kind { kShapes, kWords, kChart, kTable, kDocument, kClip, kText };
const std::vector<std::string>& kind_names();  // "shapes", "words", … in the order of Kind

struct Options {
  uint64_t seed = 1;
  Split split = Split::kTrain;
  std::vector<Kind> kinds = {Kind::kShapes,   Kind::kWords, Kind::kChart, Kind::kTable,
                             Kind::kDocument, Kind::kClip,  Kind::kText};
  int min_side = 84, max_side = 140;  // of pictures, in pixels; clips: up to max_side · 4 / 5
  int questions = 6;                  // of a scene at most
  std::vector<std::string> ask;       // tasks; all, or every scene asks some of these and nothing else
};

// How a reply is compared: word for word (but for case and final punctuation), as a number within tolerance,
// or by the phrases it must mention.
enum class Score { kExact, kNumber, kMentions };

struct Turn {
  std::string task;  // "colour", "count", …: docs/scenes.md
  std::string question, answer;
  Score score = Score::kExact;
  double tolerance = 0;
  std::vector<std::string> mentions;
  // Things, lines or events of the scene that it is about, by number: question or answer give away the
  // answers to others about the same.
  std::vector<int> subjects;
};

struct Scene {
  Kind kind = Kind::kText;
  std::vector<Image> frames;  // one of a picture, several of a clip, none of text
  double fps = 0;             // of a clip
  std::string told;           // by a text instead of being shown; a question asked alone needs it before it
  std::vector<Turn> turns;
};

// Throws kInvalidArgument where options.ask names a task that these kinds never ask.
void check_asked(Options options);

// A scene that has nothing of options.ask is drawn again. Throws kInvalidArgument for options without kinds,
// and where a thousand scenes have nothing of options.ask.
Scene make_scene(const Options& options, uint64_t index);

}  // namespace vl3::scenes
