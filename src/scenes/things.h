#pragma once
// Coloured shapes in the cells of a 3 x 3 grid: what pictures of shapes and clips are made of.

#include <string>
#include <vector>

#include "scenes/canvas.h"
#include "scenes/vocabulary.h"

namespace vl3::scenes {

struct Thing {
  int colour = 0;
  Shape shape = Shape::kCircle;
  bool large = true;
  int cell = 0;

  std::string name() const;       // "red circle"
  std::string full_name() const;  // "large red circle"
};

// How alike the things of a scene are: counting needs some that share a colour or a shape.
enum class Mix { kAny, kOneColour, kOneShape, kDistinct };  // kDistinct: no two of one name

// Things in cells of their own. In kTrain and kTest no thing is of a combination held out; in kHeldout the
// first one is.
std::vector<Thing> random_things(Random& random, Split split, int count, Mix mix);

struct Point {
  double x = 0, y = 0;
};
// The middle of a cell, moved a little.
Point cell_centre(Random& random, int width, int height, int cell);
double radius_of(const Thing& thing, int width, int height);

// An integer side within the options' limits.
int random_side(Random& random, const Options& options);

}  // namespace vl3::scenes
