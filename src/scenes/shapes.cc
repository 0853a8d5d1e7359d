// Pictures of coloured shapes: which, where, how many, how they lie to each other.

#include <fmt/format.h>

#include <algorithm>

#include "scenes/kinds.h"
#include "scenes/questions.h"
#include "scenes/things.h"

namespace vl3::scenes {
namespace {

using Things = std::vector<Thing>;

const char* colour_name(int colour) { return colours()[static_cast<size_t>(colour)].name; }

template <class Same>
int count_if(const Things& things, Same same) {
  return static_cast<int>(std::count_if(things.begin(), things.end(), same));
}

void ask_what(const Things& things, const Thing& t, Questions& q) {
  const std::string shape = name_of(t.shape), place = place_name(t.cell), colour = colour_name(t.colour);
  // Words as they stand in a caption, so that they are the same tokens there and here: a byte-pair vocabulary
  // that has " circle" may well spell "circle".
  const std::string a_shape = "a " + shape, in_place = "in the " + place;
  if (count_if(things, [&](const Thing& o) { return o.shape == t.shape; }) == 1)
    q.ask("colour",
          {fmt::format("what colour is the {}?", shape), fmt::format("which colour does the {} have?", shape),
           fmt::format("name the colour of the {}.", shape)},
          colour);
  if (count_if(things, [&](const Thing& o) { return o.colour == t.colour; }) == 1)
    q.ask("shape",
          {fmt::format("what shape is {}?", colour), fmt::format("which shape is {}?", colour),
           fmt::format("what is the {} shape?", colour)},
          a_shape);
  q.ask("colour",
        {fmt::format("what colour is the shape in the {}?", place),
         fmt::format("which colour is in the {}?", place)},
        colour);
  q.ask("shape",
        {fmt::format("what shape is in the {}?", place), fmt::format("which shape is in the {}?", place),
         fmt::format("what is in the {}?", place)},
        a_shape);
  if (count_if(things, [&](const Thing& o) { return o.name() == t.name(); }) != 1) return;
  const std::string name = t.name();
  q.ask("place",
        {fmt::format("where is the {}?", name), fmt::format("in which place is the {}?", name),
         fmt::format("where do you see the {}?", name)},
        in_place);
  q.ask("size",
        {fmt::format("is the {} large or small?", name), fmt::format("how big is the {}?", name),
         fmt::format("what size is the {}?", name)},
        t.large ? "large" : "small");
}

void ask_relation(Random& random, const Things& things, size_t first, Questions& q) {
  const Thing& a = things[first];
  const auto unique = [&](const Thing& t) {
    return count_if(things, [&](const Thing& o) { return o.name() == t.name(); }) == 1;
  };
  if (!unique(a)) return;
  for (size_t second = 0; second < things.size(); ++second) {
    const Thing& b = things[second];
    if (first == second || !unique(b)) continue;
    const int across = b.cell % 3 - a.cell % 3, down = b.cell / 3 - a.cell / 3;
    const bool horizontal = down == 0 || (across != 0 && random.chance(0.5));
    const bool before = (horizontal ? across : down) > 0, asked_before = random.chance(0.5);
    const std::string where = horizontal     ? asked_before ? "left of" : "right of"
                              : asked_before ? "above"
                                             : "below";
    q.about({static_cast<int>(first), static_cast<int>(second)});
    q.ask("relation",
          {fmt::format("is the {} {} the {}?", a.name(), where, b.name()),
           fmt::format("does the {} lie {} the {}?", a.name(), where, b.name())},
          before == asked_before ? "yes" : "no");
    return;
  }
}

void ask_count(Random& random, const Things& things, Questions& q) {
  q.about({});
  const auto number = [](int n) { return std::to_string(n); };
  q.ask("count", {"how many shapes are there?", "how many shapes do you see?", "count the shapes."},
        number(static_cast<int>(things.size())));
  const Thing& t = things[0];
  const int colour = random.chance(0.85) ? t.colour : random.below(kColours);
  const int of_colour = count_if(things, [&](const Thing& o) { return o.colour == colour; });
  q.ask("count",
        {fmt::format("how many {} shapes are there?", colour_name(colour)),
         fmt::format("how many shapes are {}?", colour_name(colour))},
        number(of_colour));
  const Shape shape = random.chance(0.85) ? t.shape : static_cast<Shape>(random.below(kShapes));
  const int of_shape = count_if(things, [&](const Thing& o) { return o.shape == shape; });
  const std::string plural = shape == Shape::kCross ? "crosses" : std::string(name_of(shape)) + "s";
  q.ask("count",
        {fmt::format("how many {} are there?", plural), fmt::format("how many {} do you see?", plural)},
        number(of_shape));
}

void ask_presence(Random& random, Split split, const Things& things, Questions& q) {
  Thing other = things[0];
  const bool there = random.chance(0.5);
  while (!there && count_if(things, [&](const Thing& o) { return o.name() == other.name(); }) > 0) {
    do {
      other.colour = random.below(kColours);
      if (random.chance(0.3)) other.shape = static_cast<Shape>(random.below(kShapes));
    } while (split != Split::kHeldout && held_out(other.colour, other.shape));
  }
  q.about(there ? std::vector<int>{0} : std::vector<int>{});
  q.ask("presence",
        {fmt::format("is there a {}?", other.name()), fmt::format("do you see a {}?", other.name())},
        there ? "yes" : "no");
}

}  // namespace

Scene make_shapes(const Options& options, Random& random) {
  const int count = random.between(1, 5);
  const Mix mix = random.chance(0.4)   ? Mix::kAny
                  : random.chance(0.4) ? Mix::kDistinct
                  : random.chance(0.5) ? Mix::kOneColour
                                       : Mix::kOneShape;
  // A combination held out goes with a colour or a shape that not every other thing can share.
  const bool free = options.split == Split::kHeldout && mix != Mix::kDistinct;
  Things things = random_things(random, options.split, count, free ? Mix::kAny : mix);
  const int width = random_side(random, options), height = random_side(random, options);
  Canvas canvas(width, height, random_sheet(random));
  for (const Thing& thing : things) {
    const Point at = cell_centre(random, width, height, thing.cell);
    canvas.shape(thing.shape, at.x, at.y, radius_of(thing, width, height), shade(random, thing.colour));
  }

  Questions questions(random);
  if (options.split != Split::kHeldout) random.shuffle(things);
  // Tests ask everything about one thing, the one held out if there is one.
  const size_t asked_about = options.split == Split::kTrain ? things.size() : 1;
  for (size_t i = 0; i < asked_about; ++i) {
    questions.about({static_cast<int>(i)});
    ask_what(things, things[i], questions);
    ask_relation(random, things, i, questions);
  }
  ask_presence(random, options.split, things, questions);
  ask_count(random, things, questions);
  std::sort(things.begin(), things.end(), [](const Thing& a, const Thing& b) { return a.cell < b.cell; });
  std::string caption;
  std::vector<std::string> mentions;
  for (const Thing& thing : things) {
    caption += fmt::format("{}a {} in the {}", caption.empty() ? "" : ", ", thing.full_name(),
                           place_name(thing.cell));
    mentions.push_back(thing.name());
  }
  questions.about({});
  questions.ask_mentions("caption", {"describe the picture.", "what do you see?", "what is in the picture?"},
                         caption + ".", mentions);
  Scene scene;
  scene.kind = Kind::kShapes;
  scene.frames.push_back(canvas.image(random, random.chance(0.2) ? random.between(1, 4) : 0));
  scene.turns = questions.choose(options);
  return scene;
}

}  // namespace vl3::scenes
