#include "scenes/things.h"

#include <algorithm>

namespace vl3::scenes {
namespace {

bool is_held_out(const Thing& thing) {
  return held_out(thing.colour, thing.shape) || held_out_place(thing.shape, thing.cell);
}

}  // namespace

std::string Thing::name() const {
  return std::string(colours()[static_cast<size_t>(colour)].name) + " " + name_of(shape);
}

std::string Thing::full_name() const { return (large ? "large " : "small ") + name(); }

std::vector<Thing> random_things(Random& random, Split split, int count, Mix mix) {
  std::vector<Thing> things;
  const int one_colour = random.below(kColours);
  const Shape one_shape = static_cast<Shape>(random.below(kShapes));
  while (static_cast<int>(things.size()) < count) {
    Thing thing;
    thing.colour = mix == Mix::kOneColour ? one_colour : random.below(kColours);
    thing.shape = mix == Mix::kOneShape ? one_shape : static_cast<Shape>(random.below(kShapes));
    thing.large = random.chance(0.5);
    thing.cell = random.below(kPlaces);
    const bool wanted = split == Split::kHeldout && things.empty();
    if (is_held_out(thing) != wanted) continue;
    const bool taken = std::any_of(things.begin(), things.end(), [&](const Thing& other) {
      return other.cell == thing.cell || (mix == Mix::kDistinct && other.name() == thing.name());
    });
    if (!taken) things.push_back(thing);
  }
  return things;
}

Point cell_centre(Random& random, int width, int height, int cell) {
  const double w = width / 3.0, h = height / 3.0;
  const double x = w * (cell % 3 + 0.5 + random.uniform(-0.07, 0.07));
  const double y = h * (cell / 3 + 0.5 + random.uniform(-0.07, 0.07));
  return {x, y};
}

double radius_of(const Thing& thing, int width, int height) {
  return std::min(width, height) / 3.0 * (thing.large ? 0.41 : 0.24);
}

int random_side(Random& random, const Options& options) {
  return random.between(options.min_side, options.max_side);
}

}  // namespace vl3::scenes
