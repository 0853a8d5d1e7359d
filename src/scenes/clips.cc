// Clips: a shape that moves, shapes that appear, vanish and change colour, numbers of shapes that change.

#include <fmt/format.h>

#include <algorithm>

#include "scenes/kinds.h"
#include "scenes/questions.h"
#include "scenes/things.h"

namespace vl3::scenes {
namespace {

constexpr double kFps = 2;
constexpr double kWithin = 0.5;  // of a time in answers, in seconds

std::string time_of(int frame) { return fmt::format("{:.1f}s", frame / kFps); }
const char* colour_name(int colour) { return colours()[static_cast<size_t>(colour)].name; }

// What every frame of a clip shares, and where its things are.
class Stage {
 public:
  Stage(const Options& options, Random& random, const std::vector<Thing>& things)
      : random_(random),
        width_(random_side(random, options) / 2 * 2),  // codecs want even sides
        height_(random_side(random, options) / 2 * 2),
        sheet_(random_sheet(random)) {
    for (const Thing& thing : things) {
      centres_.push_back(cell_centre(random, width_, height_, thing.cell));
      paints_.push_back(shade(random, thing.colour));
    }
  }

  int width() const { return width_; }
  int height() const { return height_; }
  Point centre(size_t thing) const { return centres_[thing]; }
  void recolour(size_t thing, int colour) { paints_[thing] = shade(random_, colour); }

  Canvas canvas() const { return {width_, height_, sheet_}; }
  void draw(Canvas& canvas, const Thing& thing, size_t index, Point at) const {
    canvas.shape(thing.shape, at.x, at.y, radius_of(thing, width_, height_), paints_[index]);
  }

 private:
  Random& random_;
  int width_, height_;
  Sheet sheet_;
  std::vector<Point> centres_;
  std::vector<Paint> paints_;
};

// A thing moves from one side to the other; the others stay out of its way.
Scene moving(const Options& options, Random& random, Questions& questions) {
  constexpr const char* kDirections[] = {"right", "left", "down", "up"};
  const int direction = random.below(4), lane = random.below(3);
  const bool across = direction < 2, backwards = direction % 2 == 1;
  std::vector<Thing> things = random_things(random, options.split, random.between(1, 3), Mix::kDistinct);
  const auto in_lane = [&](const Thing& t) { return (across ? t.cell / 3 : t.cell % 3) == lane; };
  things.erase(std::remove_if(things.begin() + 1, things.end(), in_lane), things.end());
  const Thing& mover = things[0];
  Stage stage(options, random, things);
  const int frames = random.between(8, 10);
  const double radius = radius_of(mover, stage.width(), stage.height());
  const double length = across ? stage.width() : stage.height(), begin = radius + 1,
               end = length - radius - 1;
  const double beside = (across ? stage.height() : stage.width()) * (lane + 0.5) / 3;
  Scene scene;
  for (int f = 0; f < frames; ++f) {
    const double part = static_cast<double>(f) / (frames - 1),
                 along = begin + (end - begin) * (backwards ? 1 - part : part);
    Canvas canvas = stage.canvas();
    for (size_t i = 1; i < things.size(); ++i) stage.draw(canvas, things[i], i, stage.centre(i));
    stage.draw(canvas, mover, 0, across ? Point{along, beside} : Point{beside, along});
    scene.frames.push_back(canvas.image(random, 0));
  }
  const std::string name = mover.name();
  questions.about({0});
  questions.ask("motion",
                {fmt::format("which way does the {} move?", name), fmt::format("where does the {} go?", name),
                 fmt::format("in which direction does the {} move?", name)},
                kDirections[direction]);
  questions.ask("mover", {"what moves?", "which shape moves?"}, "the " + name);
  questions.about({});
  questions.ask("count", {"how many shapes are there?", "count the shapes."}, std::to_string(things.size()));
  questions.ask_mentions("clip_caption", {"describe the clip.", "what happens?", "what happens in the clip?"},
                         fmt::format("the {} moves {}.", name, kDirections[direction]),
                         {name, kDirections[direction]});
  return scene;
}

enum class Change { kAppears, kVanishes, kTurns };
struct Event {
  Change change = Change::kAppears;
  int frame = 0, colour = 0;  // the first frame that shows it; the colour that kTurns leads to
};

std::string told(const Event& event) {
  if (event.change == Change::kTurns) return fmt::format("turns {}", colour_name(event.colour));
  return event.change == Change::kAppears ? "appears" : "vanishes";
}

std::vector<Event> random_events(Random& random, const std::vector<Thing>& things, int events, int frames) {
  std::vector<int> at;
  const auto close = [&](int i) {
    return i < events && at[static_cast<size_t>(i)] - at[static_cast<size_t>(i - 1)] < 2;
  };
  do {  // at least a second apart; drawn together, since the first ones may leave no room for the last
    at.clear();
    for (int i = 0; i < events; ++i) at.push_back(random.between(1, frames - 2));
    std::sort(at.begin(), at.end());
  } while (close(1) || close(2));
  std::vector<Event> made;
  for (int i = 0; i < events; ++i) {
    const Thing& thing = things[static_cast<size_t>(i)];
    Event event{static_cast<Change>(random.below(3)), at[static_cast<size_t>(i)], thing.colour};
    while (event.change == Change::kTurns &&
           (event.colour == thing.colour || held_out(event.colour, thing.shape)))
      event.colour = random.below(kColours);
    made.push_back(event);
  }
  return made;
}

void ask_about_events(Random& random, const std::vector<Thing>& things, const std::vector<Event>& events,
                      Questions& questions) {
  for (size_t i = 0; i < events.size(); ++i) {
    const std::string name = things[i].name(), what = told(events[i]), when = time_of(events[i].frame);
    const std::string verb = events[i].change == Change::kAppears ? "appear"
                             : events[i].change == Change::kVanishes
                                 ? "vanish"
                                 : fmt::format("turn {}", colour_name(events[i].colour));
    questions.about({static_cast<int>(i)});
    questions.ask_number("event_time",
                         {fmt::format("when does the {} {}?", name, verb),
                          fmt::format("at what time does the {} {}?", name, verb)},
                         when, kWithin);
    questions.ask(
        "event_what",
        {fmt::format("what happens at {}?", when), fmt::format("what do you see happen at {}?", when)},
        fmt::format("the {} {}", name, what));
    if (events[i].change == Change::kTurns)
      questions.ask("event_what", {fmt::format("which colour does the {} become?", name)},
                    colour_name(events[i].colour));
    const std::string place = place_name(things[i].cell);
    questions.ask("event_place",
                  {fmt::format("where does something happen at {}?", when),
                   fmt::format("where does the {} {}?", name, verb)},
                  "in the " + place);
    if (events[i].change != Change::kAppears)
      questions.ask("start", {fmt::format("what is in the {} at the start?", place)}, "a " + name);
  }
  questions.about({0});
  questions.ask("event_order", {"what happens first?", "what is the first thing that happens?"},
                fmt::format("the {} {}", things[0].name(), told(events.front())));
  questions.about({static_cast<int>(events.size()) - 1});
  questions.ask("event_order", {"what happens last?", "what is the last thing that happens?"},
                fmt::format("the {} {}", things[events.size() - 1].name(), told(events.back())));
  if (events.size() < 2) return;
  const bool swapped = random.chance(0.5);
  const size_t a = swapped ? 1 : 0, b = 1 - a;
  questions.about({0, 1});
  questions.ask(
      "event_order",
      {fmt::format("does the {} change before the {}?", things[a].name(), things[b].name()),
       fmt::format("does something happen to the {} before the {}?", things[a].name(), things[b].name())},
      swapped ? "no" : "yes");
  questions.may_open();
}

// Shapes appear, vanish or change colour, one after the other.
Scene changing(const Options& options, Random& random, Questions& questions) {
  const int count = random.between(1, 3), still = random.between(0, 1), frames = random.between(8, 12);
  std::vector<Thing> things = random_things(random, options.split, count + still, Mix::kDistinct);
  const std::vector<Event> events = random_events(random, things, count, frames);
  Stage stage(options, random, things);
  Scene scene;
  for (int f = 0; f < frames; ++f) {
    Canvas canvas = stage.canvas();
    for (size_t i = 0; i < things.size(); ++i) {
      if (i < events.size()) {
        const Event& event = events[i];
        const bool since = f >= event.frame;
        if (event.change == (since ? Change::kVanishes : Change::kAppears)) continue;
        if (event.change == Change::kTurns && f == event.frame) stage.recolour(i, event.colour);
      }
      stage.draw(canvas, things[i], i, stage.centre(i));
    }
    scene.frames.push_back(canvas.image(random, 0));
  }
  ask_about_events(random, things, events, questions);
  questions.about({});
  std::string caption;
  std::vector<std::string> mentions;
  for (size_t i = 0; i < events.size(); ++i) {
    mentions.push_back(fmt::format("the {} {}", things[i].name(), told(events[i])));
    caption += fmt::format("{}at {} {}", i > 0 ? ", " : "", time_of(events[i].frame), mentions.back());
  }
  questions.ask_mentions("clip_caption", {"describe the clip.", "what happens?", "what happens in the clip?"},
                         caption + ".", mentions);
  return scene;
}

// The number of shapes changes once.
Scene counting(const Options& options, Random& random, Questions& questions) {
  const int frames = random.between(8, 10), at = random.between(2, frames - 3), before = random.between(1, 5);
  int after = before;
  while (after == before) after = random.between(1, 5);
  const std::vector<Thing> things = random_things(random, options.split, std::max(before, after), Mix::kAny);
  Stage stage(options, random, things);
  Scene scene;
  for (int f = 0; f < frames; ++f) {
    Canvas canvas = stage.canvas();
    for (size_t i = 0; i < static_cast<size_t>(f < at ? before : after); ++i)
      stage.draw(canvas, things[i], i, stage.centre(i));
    scene.frames.push_back(canvas.image(random, 0));
  }
  questions.ask("count_change",
                {"how many shapes are there at the start?", "with how many shapes does it start?"},
                std::to_string(before));
  questions.ask("count_change",
                {"how many shapes are there at the end?", "with how many shapes does it end?"},
                std::to_string(after));
  questions.ask("count_change",
                {"do the shapes become more or fewer?", "are there more or fewer shapes at the end?"},
                after > before ? "more" : "fewer");
  questions.ask_number(
      "event_time",
      {"when does the number of shapes change?", "at what time does the number of shapes change?"},
      time_of(at), kWithin);
  questions.ask_mentions(
      "clip_caption", {"describe the clip.", "what happens?", "what happens in the clip?"},
      fmt::format("at {} the number of shapes changes from {} to {}.", time_of(at), before, after),
      {fmt::format("from {} to {}", before, after)});
  return scene;
}

}  // namespace

Scene make_clip(const Options& options, Random& random) {
  Questions questions(random);
  const int sort = random.below(10);
  Scene scene = sort < 3   ? moving(options, random, questions)
                : sort < 8 ? changing(options, random, questions)
                           : counting(options, random, questions);
  scene.kind = Kind::kClip;
  scene.fps = kFps;
  scene.turns = questions.choose(options);
  return scene;
}

}  // namespace vl3::scenes
