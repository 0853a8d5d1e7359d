// Scenes: what they depend on, what is held out, and answers against the pixels.

#include "scenes/scenes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <thread>

#include "scenes/vocabulary.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3::scenes {
namespace {

std::string text_of(const Scene& scene) {
  std::string text;
  for (const Turn& turn : scene.turns) {
    text += turn.task + "|" + turn.question + "|" + turn.answer + "\n";
    for (const std::string& phrase : turn.mentions) text += phrase + "\n";
  }
  return text;
}

std::string bytes_of(const Image& image) { return {image.rgb.begin(), image.rgb.end()}; }

bool same(const Scene& a, const Scene& b) {
  if (a.kind != b.kind || a.frames.size() != b.frames.size() || text_of(a) != text_of(b)) return false;
  for (size_t i = 0; i < a.frames.size(); ++i)
    if (a.frames[i].rgb != b.frames[i].rgb) return false;
  return true;
}

Options all_questions(Split split, std::vector<Kind> kinds) {
  Options options;
  options.split = split;
  options.kinds = std::move(kinds);
  options.questions = 1000;
  return options;
}

int colour_index(const std::string& name) {
  for (int i = 0; i < kColours; ++i)
    if (name == colours()[static_cast<size_t>(i)].name) return i;
  return -1;
}

int shape_index(const std::string& name) {
  for (int i = 0; i < kShapes; ++i)
    if (name == name_of(static_cast<Shape>(i))) return i;
  return -1;
}

int place_index(const std::string& name) {
  for (int i = 0; i < kPlaces; ++i)
    if (name == place_name(i)) return i;
  return -1;
}

const std::string kColourWords = "(red|green|blue|yellow|purple|orange|black|pink)";
const std::string kShapeWords = "(circle|square|triangle|star|cross|ring)";
const std::string kPlaceWords = "(top left|top right|top|left|middle|right|bottom left|bottom right|bottom)";

struct Named {
  int colour, shape, place;
};
// "a large red circle in the top left", wherever a text has it.
std::vector<Named> placed_things(const std::string& text) {
  static const std::regex thing("(?:large|small) " + kColourWords + " " + kShapeWords + " in the " +
                                kPlaceWords);
  std::vector<Named> found;
  for (std::sregex_iterator at(text.begin(), text.end(), thing), end; at != end; ++at)
    found.push_back({colour_index((*at)[1]), shape_index((*at)[2]), place_index((*at)[3])});
  return found;
}

bool names_held_out_pair(const std::string& text) {
  static const std::regex pair(kColourWords + " " + kShapeWords);
  for (std::sregex_iterator at(text.begin(), text.end(), pair), end; at != end; ++at)
    if (held_out(colour_index((*at)[1]), static_cast<Shape>(shape_index((*at)[2])))) return true;
  return false;
}

TEST(Scenes, DependOnOptionsAndIndexOnly) {
  const Options options;
  std::vector<Scene> forwards;
  for (uint64_t i = 0; i < 60; ++i) forwards.push_back(make_scene(options, i));
  std::vector<Scene> backwards(60);
  std::thread other([&] {
    for (uint64_t i = 60; i-- > 0;) backwards[i] = make_scene(options, i);
  });
  other.join();
  std::set<std::string> texts;
  for (size_t i = 0; i < 60; ++i) {
    EXPECT_TRUE(same(forwards[i], backwards[i])) << "scene " << i;
    texts.insert(text_of(forwards[i]));
  }
  EXPECT_GT(texts.size(), 55U);
  Options seed = options;
  seed.seed = 2;
  EXPECT_FALSE(same(make_scene(seed, 0), forwards[0]));
}

TEST(Scenes, TrainAndTestShareNoScene) {
  const Options train;
  Options test = train;
  test.split = Split::kTest;
  std::set<std::string> pictures;  // their bytes
  for (uint64_t i = 0; i < 400; ++i) {
    const Scene scene = make_scene(train, i);
    if (!scene.frames.empty()) pictures.insert(bytes_of(scene.frames[0]));
  }
  for (uint64_t i = 0; i < 400; ++i) {
    const Scene scene = make_scene(test, i);
    if (!scene.frames.empty()) {
      EXPECT_FALSE(pictures.contains(bytes_of(scene.frames[0]))) << i << text_of(scene);
    }
  }
}

TEST(Scenes, TrainAndTestNeverNameWhatIsHeldOut) {
  static const std::regex word("\\b[A-Z]{2,5}\\b");
  for (const Split split : {Split::kTrain, Split::kTest}) {
    const Options options =
        all_questions(split, {Kind::kShapes, Kind::kWords, Kind::kClip, Kind::kDocument, Kind::kText});
    for (uint64_t i = 0; i < (test::kSanitized ? 200 : 1500); ++i) {
      const std::string text = text_of(make_scene(options, i));
      EXPECT_FALSE(names_held_out_pair(text)) << i << ": " << text;
      for (const Named& t : placed_things(text))
        EXPECT_FALSE(held_out_place(static_cast<Shape>(t.shape), t.place)) << i << ": " << text;
      for (std::sregex_iterator at(text.begin(), text.end(), word), end; at != end; ++at)
        EXPECT_FALSE(held_out(at->str())) << i << ": " << at->str();
    }
  }
}

TEST(Scenes, HeldoutAlwaysHasAHeldOutCombination) {
  const Options shapes = all_questions(Split::kHeldout, {Kind::kShapes});
  const Options words = all_questions(Split::kHeldout, {Kind::kWords});
  for (uint64_t i = 0; i < 400; ++i) {
    const auto things = placed_things(text_of(make_scene(shapes, i)));
    EXPECT_TRUE(std::any_of(things.begin(), things.end(), [](const Named& t) {
      return held_out(t.colour, static_cast<Shape>(t.shape)) ||
             held_out_place(static_cast<Shape>(t.shape), t.place);
    })) << i;
    const Scene scene = make_scene(words, i);
    const auto asked = std::find_if(scene.turns.begin(), scene.turns.end(),
                                    [](const Turn& t) { return t.task == "word" || t.task == "other_word"; });
    ASSERT_NE(asked, scene.turns.end()) << i;
    EXPECT_TRUE(held_out(asked->answer)) << asked->answer;
  }
}

// The colour of what is drawn in each cell of the 3 x 3 grid, or -1: the mean of the pixels that differ most
// from the ground's colour, which leaves the smooth edges out, by the nearest of the named colours.
int colour_of_cell(const Image& image, int64_t cell) {
  constexpr int64_t kEdge = 3;  // of the sheet, at most; the ground's colour is that beside the corner
  const auto pixel = [&](int64_t x, int64_t y) { return image.rgb.data() + (y * image.width + x) * 3; };
  const uint8_t* ground = pixel(kEdge, kEdge);
  std::vector<std::pair<int, const uint8_t*>> pixels;
  for (int64_t y = cell / 3 * image.height / 3; y < (cell / 3 + 1) * image.height / 3; ++y) {
    for (int64_t x = cell % 3 * image.width / 3; x < (cell % 3 + 1) * image.width / 3; ++x) {
      if (std::min({x, y, image.width - 1 - x, image.height - 1 - y}) < kEdge) continue;
      const uint8_t* p = pixel(x, y);
      int difference = 0;
      for (int c = 0; c < 3; ++c) difference = std::max(difference, std::abs(p[c] - ground[c]));
      pixels.emplace_back(difference, p);
    }
  }
  std::sort(pixels.rbegin(), pixels.rend());
  const int most = pixels[10].first;
  if (most < 32) return -1;
  double sum[3] = {}, count = 0;
  for (const auto& [difference, p] : pixels) {
    if (difference < 0.8 * most) break;
    for (int c = 0; c < 3; ++c) sum[c] += p[c] / 255.0;
    ++count;
  }
  int best = -1;
  double nearest = 1e9;
  for (int i = 0; i < kColours; ++i) {
    const Colour& c = colours()[static_cast<size_t>(i)];
    const double d = std::hypot(sum[0] / count - c.r, sum[1] / count - c.g, sum[2] / count - c.b);
    if (d < nearest) nearest = d, best = i;
  }
  return best;
}

std::vector<int> colours_of_cells(const Image& image) {
  std::vector<int> result;
  for (int64_t cell = 0; cell < 9; ++cell) result.push_back(colour_of_cell(image, cell));
  return result;
}

TEST(Scenes, AnswersAboutShapesAreWhatThePixelsShow) {
  static const std::regex of_colour("how many (?:shapes are )?" + kColourWords + "(?: shapes are there)?\\?");
  static const std::regex in_place("(?:what colour is the shape|which colour is) in the " + kPlaceWords +
                                   "\\?");
  int checked = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    const Scene scene = make_scene(all_questions(Split::kTest, {Kind::kShapes}), i);
    const std::vector<int> cells = colours_of_cells(scene.frames[0]);
    const auto drawn = 9 - std::count(cells.begin(), cells.end(), -1);
    for (const Turn& turn : scene.turns) {
      std::smatch match;
      const std::string where = "scene " + std::to_string(i) + ": " + turn.question + " " + turn.answer;
      if (turn.task == "count" && std::regex_match(turn.question, match, of_colour)) {
        EXPECT_EQ(turn.answer, std::to_string(std::count(cells.begin(), cells.end(), colour_index(match[1]))))
            << where;
        ++checked;
      } else if (turn.task == "count" && turn.question.find("shapes") != std::string::npos) {
        EXPECT_EQ(turn.answer, std::to_string(drawn)) << where;
        ++checked;
      } else if (turn.task == "colour" && std::regex_match(turn.question, match, in_place)) {
        EXPECT_EQ(colour_index(turn.answer), cells[static_cast<size_t>(place_index(match[1]))]) << where;
        ++checked;
      } else if (turn.task == "caption") {
        const auto things = placed_things(turn.answer);
        EXPECT_EQ(static_cast<long>(things.size()), drawn) << where;
        for (const Named& t : things) EXPECT_EQ(cells[static_cast<size_t>(t.place)], t.colour) << where;
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 1500);
}

TEST(Scenes, ClipsAreClipsAndTimesLieInThem) {
  for (uint64_t i = 0; i < 100; ++i) {
    const Scene scene = make_scene(all_questions(Split::kTest, {Kind::kClip}), i);
    ASSERT_GE(scene.frames.size(), 8U);
    ASSERT_LE(scene.frames.size(), 12U);
    for (const Image& frame : scene.frames) {
      EXPECT_EQ(frame.height % 2 + frame.width % 2, 0);
      EXPECT_EQ(frame.height, scene.frames[0].height);
      EXPECT_EQ(frame.width, scene.frames[0].width);
    }
    for (const Turn& turn : scene.turns) {
      if (turn.task != "event_time") continue;
      const size_t at = static_cast<size_t>(std::lround(std::stod(turn.answer) * scene.fps));
      ASSERT_GT(at, 0U);
      ASSERT_LT(at, scene.frames.size());
      EXPECT_NE(scene.frames[at].rgb, scene.frames[at - 1].rgb)
          << i << ": nothing happens at " << turn.answer;
    }
  }
}

TEST(Scenes, AnswersOfASceneDoNotContradictEachOther) {
  for (uint64_t i = 0; i < 500; ++i) {
    const Scene scene =
        make_scene(all_questions(Split::kTest, {Kind::kShapes, Kind::kChart, Kind::kTable}), i);
    std::map<std::string, std::string> answers;
    for (const Turn& turn : scene.turns) {
      const auto [at, isnew] = answers.try_emplace(turn.question, turn.answer);
      EXPECT_EQ(at->second, turn.answer) << i << ": " << turn.question;
      for (const std::string& phrase : turn.mentions)
        EXPECT_NE(turn.answer.find(phrase), std::string::npos) << turn.answer << " lacks " << phrase;
    }
  }
}

TEST(Scenes, EveryPictureHasADarkerEdge) {
  const std::vector<Kind> drawn = {Kind::kShapes, Kind::kWords, Kind::kChart, Kind::kDocument, Kind::kClip};
  for (uint64_t i = 0; i < 100; ++i) {
    const Scene scene = make_scene(all_questions(Split::kTest, drawn), i);
    const Image& image = scene.frames[0];
    const auto sum = [&](int64_t x, int64_t y) {
      const uint8_t* p = image.rgb.data() + (y * image.width + x) * 3;
      return p[0] + p[1] + p[2];
    };
    for (const auto& [x, y] : {std::pair{0, 0}, {image.width - 1, 0}, {0, image.height - 1}})
      EXPECT_LT(sum(x, y) + 100, sum(3, 3)) << i << ": " << x << ", " << y;
  }
}

TEST(Scenes, TextsAskWhatIsAskedForToo) {
  for (uint64_t i = 0; i < 200; ++i) {
    Options options = all_questions(Split::kTrain, {Kind::kText});
    options.ask = {"sum", "place"};
    const Scene scene = make_scene(options, i);
    EXPECT_FALSE(scene.turns.empty()) << i;
    for (const Turn& turn : scene.turns) EXPECT_EQ(turn.task, "sum") << i;
  }
  Options pictures = all_questions(Split::kTrain, {Kind::kWords});
  pictures.ask = {"sum"};
  EXPECT_THROW(make_scene(pictures, 0), Error);
}

// Otherwise a model learns to answer from what it was asked or has said itself, not from the picture.
TEST(Scenes, TrainingAsksOnceAboutEveryThing) {
  static const std::regex of_a_thing("in the " + kPlaceWords + "\\?");
  int asked = 0;
  for (uint64_t i = 0; i < 300; ++i) {
    std::set<std::string> places;
    for (const Turn& turn : make_scene(all_questions(Split::kTrain, {Kind::kShapes}), i).turns) {
      std::smatch match;
      const bool by_place = std::regex_search(turn.question, match, of_a_thing);
      if (!by_place && turn.task != "place") continue;
      const std::string place = by_place ? match[1].str() : turn.answer.substr(std::string("in the ").size());
      EXPECT_TRUE(places.insert(place).second) << i << ": " << turn.question << " " << place;
      ++asked;
    }
  }
  EXPECT_GT(asked, 200);
}

// Otherwise a model learns to answer from what it has said itself, not from the picture.
TEST(Scenes, WhatTellsEverythingIsAskedLastOrAloneInTraining) {
  const std::vector<Kind> kinds = {Kind::kShapes, Kind::kWords,    Kind::kChart,
                                   Kind::kTable,  Kind::kDocument, Kind::kClip};
  int alone = 0, last = 0, tested_before_others = 0;
  for (uint64_t i = 0; i < 600; ++i) {
    const std::vector<Turn> turns = make_scene(all_questions(Split::kTrain, kinds), i).turns;
    for (size_t t = 0; t < turns.size(); ++t) {
      if (turns[t].score != Score::kMentions) continue;
      EXPECT_EQ(t + 1, turns.size()) << i << ": " << turns[t].question;
      ++(turns.size() == 1 ? alone : last);
    }
    const std::vector<Turn> tested = make_scene(all_questions(Split::kTest, kinds), i).turns;
    EXPECT_GT(tested.size(), 1U);
    if (tested[0].score == Score::kMentions) ++tested_before_others;
  }
  EXPECT_EQ(alone + last, 600);
  EXPECT_NEAR(alone, 300, 50);
  EXPECT_GT(tested_before_others, 20);
}

TEST(Scenes, ComparisonsOfEventsOpenClipsInTraining) {
  const auto compares = [](const Turn& turn) {
    return turn.question.find(" before the ") != std::string::npos;
  };
  int opened = 0, with_others = 0, possible = 0;
  for (uint64_t i = 0; i < 400; ++i) {
    Options options = all_questions(Split::kTrain, {Kind::kClip});
    options.ask = {"event_order"};
    const std::vector<Turn> turns = make_scene(options, i).turns;
    EXPECT_LE(std::count_if(turns.begin(), turns.end(), compares), 1) << i;
    opened += compares(turns[0]);
    with_others += compares(turns[0]) && turns.size() > 1;
    std::set<std::string> answers;
    for (const Turn& turn : turns) answers.insert(turn.answer);
    possible += answers.size() > 1 || std::any_of(turns.begin(), turns.end(), compares);
    options.split = Split::kTest;
    options.ask = {"event_time"};
    for (const Turn& turn : make_scene(options, i).turns) EXPECT_FALSE(compares(turn)) << i;
  }
  EXPECT_GT(with_others, 50);
  EXPECT_NEAR(opened, possible * 2 / 3, possible / 6) << "half, and those that would be asked it anyway";
}

}  // namespace
}  // namespace vl3::scenes
